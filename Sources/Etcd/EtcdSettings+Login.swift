// SPDX-License-Identifier: Apache-2.0

import Remote

/// How the v3 API is asked as a user, with a password that only the node knows.
///
/// The shell reads it from the file on the node, and gives it on where other users of the node cannot see it: in the
/// environment, or through a pipe. It is in no command line, and in nothing that comes back.
extension EtcdSettings.Login {
    /// Shell in front of a call of etcdctl.
    var environment: String {
        "ETCDCTL_USER=\(ShellQuoting.quote(user)):\"$(cat -- \(ShellQuoting.quote(passwordFile)))\" "
    }

    /// Shell that does the rest only where the password can be read, and otherwise says so and is false.
    func guarding(_ shell: String) -> String {
        """
        if [ -r \(ShellQuoting.quote(passwordFile)) ]; then \(shell)
        else printf '%s\\n' \(ShellQuoting.quote("etcd_auth_password_file \(passwordFile) cannot be read on the node")); false; fi
        """
    }

    /// Shell that sets `token` to one for the JSON gateway `$gateway`, or to nothing where authentication is off.
    ///
    /// A refusal is printed as any other answer is, a line with the body and one with the code, and ends the script.
    func takeToken(curl: String, base: String) -> String {
        let escape = #"-e 's/\\/\\\\/g' -e 's/"/\\"/g'"#
        return """
            token=
            \(guarding(":")) || { printf '401\\n'; exit 0; }
            name=$(printf '%s' \(ShellQuoting.quote(user)) | sed \(escape))
            answer=$(printf '{"name":"%s","password":"%s"}' "$name" "$(sed \(escape) -- \(ShellQuoting.quote(passwordFile)))" |
            \(curl) -w '\\n%{http_code}' --data-binary @- \(base)/"$gateway"/auth/authenticate)
            token=$(printf '%s\\n' "$answer" | sed -n 's/.*"token":"\\([A-Za-z0-9._=+/-]*\\)".*/\\1/p')
            case $token,$answer in
            ,*'authentication is not enabled'*) ;;
            ,*) printf '%s\\n' "$answer"; exit 0;;
            esac

            """
    }
}
