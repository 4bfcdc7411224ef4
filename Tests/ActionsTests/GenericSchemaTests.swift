// SPDX-License-Identifier: Apache-2.0

import Actions
import Playbooks
import Testing

struct GenericSchemaTests {
    private static let schemas = [Command.schema, DiskFree.schema, WaitFor.schema, Pause.schema]

    @Test func `the words are those of the playbooks`() {
        #expect(Self.schemas.map(\.word) == ["command", "disk_free", "wait_for", "pause"])
    }

    @Test(arguments: schemas.indices)
    func `each parameter is documented, and the example uses what is required`(index: Int) {
        let schema = Self.schemas[index]
        #expect(schema.summary.hasSuffix("."))
        #expect(schema.parameters.allSatisfy { $0.documentation.hasSuffix(".") || $0.documentation.hasSuffix(")") })
        #expect(Set(schema.parameters.map(\.name)).count == schema.parameters.count)
        #expect(schema.example.contains("\n\(schema.word):"))
        for parameter in schema.parameters where parameter.isRequired && parameter.name != schema.shorthand {
            #expect(schema.example.contains("\(parameter.name): "))
        }
        if let shorthand = schema.shorthand { #expect(schema.parameters.contains { $0.name == shorthand }) }
    }
}
