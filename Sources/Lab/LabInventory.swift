// SPDX-License-Identifier: Apache-2.0

/// The inventory of a lab, in the form that Ansible reads.
enum LabInventory {
    static func text(_ state: LabState) -> String {
        let layout = state.layout
        var lines = [
            "# The nodes of a throw-away lab; `pawl lab down --dir \(state.directory)` removes them.",
            "etcd:",
            "  hosts:",
        ]
        for node in state.nodes {
            lines.append("    \(node.name):")
            lines += hostVariables(node).map { "      \($0.0): \($0.1)" }
        }
        lines += [
            "  vars:",
            "    ansible_user: \(state.nodes.first?.user ?? "admin")",
            "    ansible_ssh_private_key_file: \(layout.privateKey)",
            "    ansible_become: \(state.kind == .booted)",
            "    ansible_ssh_common_args: >-",
            "      -F none -o UserKnownHostsFile=\(layout.knownHosts) -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func hostVariables(_ node: LabNode) -> [(String, String)] {
        var variables = [("ansible_host", node.address)]
        if node.tls == true {
            let files = node.certificates
            variables += [("etcd_cacert", files.authority), ("etcd_cert", files.certificate("client"))]
            variables.append(("etcd_key", files.key("client")))
            if node.kind == .booted { variables.append(("etcd_endpoint", node.clientURL)) }
        }
        guard node.kind == .plain else { return variables }
        let service = "\(node.directory)/service etcd"
        variables += [
            ("ansible_port", "\(node.sshPort)"),
            ("etcd_endpoint", node.clientURL),
            ("etcd_data_dir", node.dataDirectory),
            ("etcd_user", node.user),
            ("etcd_start", "\(service) start"),
            ("etcd_stop", "\(service) stop"),
            ("etcd_status", "\(service) status"),
            ("backup_dir", node.backupDirectory),
            // The nodes share one machine, and each needs a state of its own.
            ("pawl_state_dir", "\(node.directory)/state"),
        ]
        return variables
    }
}
