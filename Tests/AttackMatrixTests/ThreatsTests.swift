import Foundation
import Testing

/// Docs/THREATS.md: a mitigation without a test is none.
@Suite struct ThreatsTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")

  /// What each row's last column names, by threat.
  static func rows() throws -> [(threat: String, names: [String])] {
    let document = try String(contentsOf: root.appendingPathComponent("Docs/THREATS.md"), encoding: .utf8)
    let table = try #require(document.components(separatedBy: "\n## ").first)
    return table.split(separator: "\n").compactMap { line in
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
        .map { $0.trimmingCharacters(in: .whitespaces) }
      guard cells.count == 3, let threat = cells.first, !threat.hasPrefix("**"), !threat.hasPrefix("--"),
        threat != "threat"
      else { return nil }
      let parts = cells[2].split(separator: "`", omittingEmptySubsequences: false)
      return (threat, parts.indices.filter { !$0.isMultiple(of: 2) }.map { String(parts[$0]) })
    }
  }

  /// `Suite.test` of all tests, and extensions of suites.
  private static func tests() throws -> Set<String> {
    let type =
      /^(?:@Suite(?:\(.*\))?\s*)?(?:(?:final|private|fileprivate|public)\s+)*(?:struct|class|extension)\s+(\w+)/
    let function = /\bfunc\s+(\w+)/
    var names: Set<String> = []
    let folder = root.appendingPathComponent("Tests")
    for file in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where file.hasSuffix(".swift") {
      var suite: Substring?
      let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
      for line in text.split(separator: "\n") {
        if let match = try type.firstMatch(in: line) { suite = match.1 }
        if let suite, let match = try function.firstMatch(in: line) { names.insert("\(suite).\(match.1)") }
      }
    }
    return names
  }

  @Test("Each row names a test, and each test that is named is there") func named() throws {
    let (rows, tests) = (try Self.rows(), try Self.tests())
    #expect(rows.count > 60)
    #expect(tests.contains("ThreatsTests.named") && !tests.contains("ThreatsTests.unnamed"))
    let lab = try String(contentsOf: Self.root.appendingPathComponent("tools/wpan-lab"), encoding: .utf8)
    let scenarios =
      lab.split(separator: "\n").first { $0.hasPrefix("known=") }?.split(whereSeparator: " =\"".contains) ?? []
    #expect(scenarios.contains("isolation"))
    for (threat, names) in rows {
      let tested = names.filter { name in
        name.wholeMatch(of: /[A-Z]\w*\.\w+/) != nil || name.hasPrefix("tools/wpan-lab ")
      }
      #expect(!tested.isEmpty, "no test shows: \(threat)")
      for name in tested {
        if name.hasPrefix("tools/") {
          #expect(scenarios.contains { name.hasSuffix(" \($0)") }, "\(threat): \(name)")
        } else {
          #expect(tests.contains(name), "\(threat): \(name)")
        }
      }
    }
  }
}
