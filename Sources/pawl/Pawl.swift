// SPDX-License-Identifier: Apache-2.0

import PawlCommands

@main
struct Pawl {
    static func main() {
        PawlCommand.start()
    }
}
