// SPDX-License-Identifier: Apache-2.0

import Remote

/// What is found of a transformer on a node before anything is changed.
package struct TransformerFile: Sendable, Hashable {
    /// Whether the owner of the data can run it, or why not.
    package enum Fitness: String, Sendable, Hashable, CaseIterable {
        case fit
        /// There is nothing of that name, or it is no file.
        case missing
        case notExecutable = "not_executable"
        case notReadable = "not_readable"
        /// The program that its first line names is not there.
        case noInterpreter = "no_interpreter"
    }

    package var path: String
    package var fitness: Fitness
    /// Of its content; `nil` where it could not be read.
    package var digest: String?
    /// What its first line names and is missing.
    package var interpreter: String?

    package init(path: String, fitness: Fitness, digest: String? = nil, interpreter: String? = nil) {
        self.path = path
        self.fitness = fitness
        self.digest = digest
        self.interpreter = interpreter
    }

    /// Reads the lines of ``script(_:user:)``.
    init?(_ values: [Substring: [Substring]]) {
        func text(_ name: Substring) -> String? {
            values[name]?.first.flatMap { $0.isEmpty ? nil : String($0) }
        }
        guard let path = text("transformer_path") else { return nil }
        // A node that did not say is one where it cannot be run.
        let fitness = text("transformer").flatMap(Fitness.init(rawValue:)) ?? .missing
        self.init(
            path: path,
            fitness: fitness,
            digest: text("transformer_sha256"),
            interpreter: text("transformer_interpreter")
        )
    }

    /// Shell that looks at it, as whoever will run it.
    static func script(_ path: String, user: String) -> String {
        NodeReport.assignments(["TRANSFORMER": path, "AS": user]) + Transformer.userFunction + look
    }

    private static let look = #"""
        echo "transformer_path $TRANSFORMER"
        interpreter=
        if [ -f "$TRANSFORMER" ]; then
        set -f
        set -- $(head -c 256 -- "$TRANSFORMER" | tr '\000' ' ' | sed -n '1s/^#!//p')
        set +f
        case ${1-}:${2-} in */env:-*|*/env:) interpreter=$1;; */env:*) interpreter=$2;; *) interpreter=${1-};; esac
        echo "transformer_sha256 $(sha256sum <"$TRANSFORMER" | cut -c 1-64)"
        fi
        if ! [ -f "$TRANSFORMER" ]; then echo "transformer missing"
        elif ! as_user test -x "$TRANSFORMER"; then echo "transformer not_executable"
        elif ! as_user test -r "$TRANSFORMER"; then echo "transformer not_readable"
        elif [ -n "$interpreter" ] && ! as_user sh -c 'command -v -- "$1"' sh "$interpreter" >/dev/null; then
        echo "transformer no_interpreter"; echo "transformer_interpreter $interpreter"
        else echo "transformer fit"
        fi 2>/dev/null </dev/null
        """#
}
