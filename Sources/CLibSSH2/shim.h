// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <libssh2.h>
#include <libssh2_sftp.h>
