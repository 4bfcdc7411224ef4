// SPDX-License-Identifier: Apache-2.0

import Playbooks

/// From the playbook's word to the action.
package enum ActionRegistry {
    /// All actions, in the order of the reference.
    package static let all: [any Action.Type] = [
        Command.self,
        Service.self,
        Backup.self, BackupAheadAction.self,
        DiskFree.self,
        WaitFor.self,
        Pause.self,
        Upload.self,
        EtcdReady.self,
        EtcdFreeze.self,
        EtcdMigrate.self, EtcdPrepare.self,
        EtcdMigrated.self,
        EtcdReseedReady.self,
        EtcdNewCluster.self,
        EtcdSetAside.self,
        EtcdRejoin.self,
        EtcdHealthy.self,
        EtcdConsistent.self,
        EtcdVerified.self,
        EtcdTTLKeys.self,
        EtcdHiddenKeys.self,
        EtcdCanary.self,
        EtcdSnapshot.self,
        EtcdUpgradeReady.self,
        EtcdV2Remove.self,
        EtcdRollbackReady.self,
        EtcdRollback.self,
        EtcdRolledBack.self,
    ]

    /// What a playbook may write.
    package static let schemas: [ActionSchema] = all.map { $0.schema }

    /// The type behind a word.
    package static func type(_ word: String) -> (any Action.Type)? {
        all.first { $0.schema.word == word }
    }

    /// An action ready to run.
    ///
    /// - Throws: what is wrong with the parameters together, as a missing stop command.
    package static func make(_ word: String, _ parameters: Parameters) throws(ActionFailure) -> any Action {
        guard let type = type(word) else { throw ActionFailure("there is no action \(word)") }
        return try type.init(parameters)
    }
}
