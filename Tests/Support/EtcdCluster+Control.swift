// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

extension EtcdCluster {
    /// Writes a member's control script, as an operator without systemd has one: `start`, `stop` and `status`.
    ///
    /// - Returns: its path. `status` exits with 0 while the member runs and with 3 when it does not.
    package func controlScript(of member: Member) throws -> String {
        let files = directory + "/" + member.name
        let text = """
            case $1 in
              start) \(startScript(of: member, arguments: []))
                until curl -s -m 2 \(member.clientURL)/health | grep -q true; do
                  sh $0 status || { tail -n 2 \(files).log; exit 1; }; sleep 0.05; done ;;
              stop) kill $(cat \(files).pid); while sh $0 status; do sleep 0.02; done; exit 0 ;;
              status) case "$(sed 's/.*) //' /proc/$(cat \(files).pid)/stat 2>/dev/null)" in ''|Z*) exit 3 ;; esac ;;
            esac

            """
        try Data(text.utf8).write(to: URL(filePath: files + ".sh"))
        return files + ".sh"
    }
}
