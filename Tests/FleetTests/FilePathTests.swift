// SPDX-License-Identifier: Apache-2.0

import Fleet
import Testing

struct FilePathTests {
    @Test(arguments: [
        ("h", ""), ("é", ""), ("/", "/"), ("/h", "/"), ("a/h", "a"), ("a//h", "a"), ("a/", "a"), ("", ""), ("//", "/"),
        ("a/b/hosts.ini", "a/b"), ("../h", ".."),
    ])
    func `a path is cut at its last slash`(path: String, folder: String) {
        #expect(FilePath.folder(of: path) == folder)
    }
}
