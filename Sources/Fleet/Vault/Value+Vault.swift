// SPDX-License-Identifier: Apache-2.0

extension Value {
    private static let vaultKey = "__ansible_vault"

    /// A value that is encrypted by itself (`!vault`), in the form that Ansible's JSON gives it.
    ///
    /// It stays so wherever values go, the plan and the journal among them, and is opened where it is used.
    static func sealed(_ text: String) -> Value { .map([vaultKey: .string(text)]) }

    /// The encrypted text, where the value is one.
    package var sealedText: String? {
        guard case .map(let entries) = self, entries.count == 1 else { return nil }
        return entries[Self.vaultKey]?.asString
    }

    /// Whether the value is encrypted, or holds one that is.
    package var isSealed: Bool {
        switch self {
        case .list(let values): values.contains(where: \.isSealed)
        case .map(let entries): sealedText != nil || entries.values.contains(where: \.isSealed)
        default: false
        }
    }
}
