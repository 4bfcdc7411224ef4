// SPDX-License-Identifier: Apache-2.0

import Etcd
import Playbooks

extension EtcdReady {
    /// What a playbook asks for.
    struct Requirements: Sendable {
        var versions: EtcdVersionRange
        /// The program of each host that its keys are to go through, where they are to.
        var transformers: [String: String] = [:]
        /// Of the checks that the playbook decides about otherwise than by default.
        private var policies: [PreflightCheck: PreflightCheck.Policy] = [:]

        init(versions: EtcdVersionRange, _ parameters: Parameters) {
            self.versions = versions
            func policy(_ name: String, of group: Parameters) -> PreflightCheck.Policy? {
                group.string(name).flatMap(PreflightCheck.Policy.init(rawValue:))
            }
            var written: [PreflightCheck: PreflightCheck.Policy] = [:]
            written[.ttlKeys] = policy("ttl_keys", of: parameters)
            written[.hiddenKeys] = policy("hidden_keys", of: parameters)
            if parameters.string("v3_store") == "any" {
                written[.v3Store] = .allow
                // Whoever uses v3 may have leases there.
                written[.leases] = .warn
            }
            if [.skip, .lease].contains(written[.ttlKeys]), parameters.string("transformer") == nil {
                // etcdctl migrates the keys of such directories all the same; `etcd_ttl_keys` sees to them at the end,
                // where it knows them by their names.
                written[.ttlDirectories] = .warn
            }
            if let group = parameters.group("checks") {
                for check in PreflightCheck.inMapping where check.rule.necessity == nil {
                    if let policy = policy(check.name, of: group) { written[check] = policy }
                }
            }
            policies = written.filter { $0.value != $0.key.rule.policy }
        }

        func policy(of check: PreflightCheck) -> PreflightCheck.Policy { policies[check] ?? check.rule.policy }

        /// The checks whose policy is not the default, by name.
        var deviations: [(PreflightCheck, PreflightCheck.Policy)] {
            policies.sorted { $0.key.name < $1.key.name }.map { ($0.key, $0.value) }
        }

        /// The findings with what the policies make of them, worst first.
        func judged(_ findings: [EtcdFinding]) -> [EtcdFinding] {
            EtcdFinding.worstFirst(
                findings.map { finding in
                    var judged = finding
                    judged.judge(by: policy(of: finding.check))
                    return judged
                }
            )
        }
    }
}
