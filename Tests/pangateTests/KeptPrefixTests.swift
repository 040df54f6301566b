import Foundation
import IPv6
import Testing

@testable import pangate

/// The prefix that is generated once and kept.
@Suite struct KeptPrefixTests {
  /// Runs `body` with the path of a state directory that does not exist yet.
  private func withState(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-prefix-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.appendingPathComponent("state").path)
  }

  @Test("The prefix is a /64 of RFC 4193, the same at every start, and another one elsewhere")
  func kept() throws {
    try withState { state in
      let prefix = try KeptPrefix.prefix(state: state)
      #expect(prefix.length == 64)
      let bytes = prefix.address(interfaceIdentifier: 0).bytes
      #expect(bytes[0] == 0xfd && bytes[6] == 0 && bytes[7] == 0)
      for _ in 0..<3 { #expect(try KeptPrefix.prefix(state: state) == prefix) }
      #expect(try String(contentsOfFile: state + "/prefix", encoding: .utf8) == "\(prefix)\n")
      // 40 random bits: another home has another prefix.
      try withState { other in
        let different = try KeptPrefix.prefix(state: other)
        #expect(different != prefix)
      }
    }
  }

  @Test("A new state directory is for its user alone")
  func permissions() throws {
    try withState { state in
      _ = try KeptPrefix.prefix(state: state)
      let attributes = try FileManager.default.attributesOfItem(atPath: state)
      #expect(attributes[.posixPermissions] as? Int == 0o700)
    }
  }

  @Test("The global ID is all there is to choose")
  func generate() {
    #expect(KeptPrefix.generate(0).description == "fd00::/64")
    #expect(KeptPrefix.generate(0x12_3456_789a).description == "fd12:3456:789a::/64")
    #expect(KeptPrefix.generate(0xff_ffff_ffff).description == "fdff:ffff:ffff::/64")
    #expect(KeptPrefix.generate(.max) == KeptPrefix.generate(0xff_ffff_ffff))
  }

  @Test(
    "A damaged file is refused, and stays as it is",
    arguments: [
      "", "\n", "fd00::", "fd00:1:2::/48", "fd00::/65", "nonsense", "fd00::/64 fd01::/64", "\u{0}\u{0}\u{0}",
    ].map { Array($0.utf8) } + [[0xff, 0xfe, 0x66, 0x64]])
  func damaged(_ bytes: [UInt8]) throws {
    try withState { state in
      try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
      try Data(bytes).write(to: URL(fileURLWithPath: state + "/prefix"))
      let failure = #expect(throws: Failure.self) { try KeptPrefix.prefix(state: state) }
      #expect(failure?.code == Exit.cannotStart && failure?.description.hasPrefix(state + "/prefix: ") == true)
      #expect(try [UInt8](Data(contentsOf: URL(fileURLWithPath: state + "/prefix"))) == bytes)
    }
  }

  @Test("A file that cannot be read, or written, is an error that names it")
  func unusable() throws {
    try withState { state in
      try FileManager.default.createDirectory(atPath: state + "/prefix", withIntermediateDirectories: true)
      let failure = #expect(throws: Failure.self) { try KeptPrefix.prefix(state: state) }
      #expect(failure?.description.contains("/prefix: cannot be read") == true)
    }
    try withState { state in
      let folder = URL(fileURLWithPath: state).deletingLastPathComponent()
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try Data().write(to: URL(fileURLWithPath: state))
      let failure = #expect(throws: Failure.self) { try KeptPrefix.prefix(state: state) }
      #expect(failure?.description.contains("/prefix: cannot be written") == true)
    }
  }

  @Test("A prefix that someone wrote by hand, with or without white space, is taken")
  func given() throws {
    for text in ["fd50:616e:6761:1::/64", "  fd50:616e:6761:1::/64\r\n\n"] {
      try withState { state in
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: state + "/prefix"))
        #expect(try KeptPrefix.prefix(state: state).description == "fd50:616e:6761:1::/64")
      }
    }
  }

  @Test("Without a state directory nothing can be kept")
  func stateless() {
    let failure = #expect(throws: Failure.self) { try KeptPrefix.prefix(state: nil) }
    #expect(failure?.code == Exit.cannotStart && failure?.description.contains("'state'") == true)
  }
}
