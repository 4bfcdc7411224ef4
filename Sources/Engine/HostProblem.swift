// SPDX-License-Identifier: Apache-2.0

import Remote

/// One thing that is wrong with a host, and what to do about it.
package struct HostProblem: Sendable, Codable {
    package enum Kind: String, Sendable, Codable {
        case unreachable
        case hostKey = "host_key"
        case authentication
        case shell
        case become
        case inDoubt = "in_doubt"
        case missingTool = "missing_tool"
        case etcdctl
        case disk
        case dataDir = "data_dir"
        case clock
        case sameNode = "same_node"
    }

    package var kind: Kind
    /// What is wrong, in one line.
    package var message: String
    /// What to do now, in one line.
    package var remedy: String?
    /// Whether a run could begin on the host all the same.
    package var isWarning: Bool
    /// The message and the remedy as they are told of several hosts together.
    package var common: CommonError

    private enum CodingKeys: CodingKey {
        case kind, message, remedy, isWarning
    }

    package init(_ kind: Kind, _ message: String, remedy: String?, isWarning: Bool = false, common: String? = nil) {
        self.kind = kind
        self.message = message
        self.remedy = remedy
        self.isWarning = isWarning
        self.common = CommonError(common ?? message, remedy: remedy)
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try values.decode(Kind.self, forKey: .kind),
            try values.decode(String.self, forKey: .message),
            remedy: try values.decodeIfPresent(String.self, forKey: .remedy),
            isWarning: try values.decode(Bool.self, forKey: .isWarning)
        )
    }

    /// Why a host could not be asked.
    package init(_ error: RemoteError) {
        let kind: Kind =
            switch error.code {
            case .hostKey: .hostKey
            case .authentication: .authentication
            case .shell: .shell
            case .become: .become
            case .inDoubt: .inDoubt
            default: .unreachable
            }
        self.init(kind, error.message, remedy: error.remedy)
        common = CommonError(error)
    }
}
