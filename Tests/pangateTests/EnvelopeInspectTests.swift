import Envelope
import Foundation
import Testing
import Wire

@testable import pangate

@Suite struct EnvelopeInspectTests {
  private static let demo = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Config/demo").path

  private func path(_ file: String) -> String { "\(Self.demo)/\(file)" }

  private func report(
    _ file: String, identity: String? = nil, certificates: [String] = [], peers: [String] = [],
    change: (inout [UInt8]) -> Void = { _ in }
  ) throws -> EnvelopeReport {
    var known = KnownParties(own: try identity.map { try IdentityFiles.identity(path($0)) })
    for certificate in certificates { known.add(try IdentityFiles.publicIdentity(path(certificate))) }
    for peer in peers { try known.addPeers(path(peer)) }
    var bytes = try EnvelopeInspect.bytes(of: path(file))
    change(&bytes)
    return EnvelopeReport(
      file: file, bytes: bytes, maximumSize: SignedEnvelope.defaultMaximumSize, known: known)
  }

  @Test func signatureIsCheckedOnlyWithTheSendersKey() throws {
    let without = try report("access-list.cose", certificates: ["owner.pem"])
    #expect(without.signature == "not checked: sender's key not given (--peers, --certificate)")
    #expect(without.errors.isEmpty)
    #expect(try report("access-list.cose", certificates: ["oracle.pem"]).signature == "valid, by oracle")
    let broken = try report("access-list.cose", certificates: ["oracle.pem"]) { $0[$0.count - 1] ^= 1 }
    #expect(broken.signature == "INVALID")
    #expect(broken.errors == ["the signature is not the sender's: coseSignatureInvalid"])
  }

  @Test func accessListIsShownWithNamesFromThePeerRecord() throws {
    let report = try report(
      "access-list.cose", identity: "owner.pem", certificates: ["oracle.pem"],
      peers: ["peer-record-owner.cose"])
    #expect(report.signature == "valid, by oracle")
    #expect(report.header?.recipients.map(\.name) == ["relay"])
    #expect(report.readableBy == "everyone on the way")
    #expect(report.content?.formatName == "access list")
    #expect(report.content?.text.contains { $0.contains("lock") && $0.contains("auth-only") } == true)
    #expect(report.notes.count == 1)
    #expect(report.notes.first?.hasSuffix("peer record of epoch 1, signed by oracle") == true)
    #expect(report.text.contains("sender          f38c060a7dc3db6f"))
  }

  @Test func sealedContentIsShownToItsRecipientOnly() throws {
    let none = try report("peer-record-owner.cose")
    #expect(none.content == nil)
    #expect(none.contentMissing == "sealed: give --identity with the identity of a recipient")
    #expect(none.encryption == "HPKE-0")
    #expect(
      try report("peer-record-owner.cose", identity: "lock.pem").contentMissing
        == "sealed, and not for this identity")
    let owner = try report("peer-record-owner.cose", identity: "owner.pem")
    #expect(owner.content?.text.contains { $0.hasPrefix("thermostat") } == true)
    #expect(owner.readableBy?.hasSuffix("(owner)") == true)
  }

  @Test func peerRecordThatItsSignerDidNotSignIsRefused() throws {
    var bytes = try EnvelopeInspect.bytes(of: path("peer-record-owner.cose"))
    bytes[bytes.count - 1] ^= 1
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-\(UUID()).cose")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(bytes).write(to: file)
    var known = KnownParties(own: try IdentityFiles.identity(path("owner.pem")))
    known.add(try IdentityFiles.publicIdentity(path("oracle.pem")))
    #expect(throws: Failure.self) { try known.addPeers(file.path) }
  }

  @Test func whatIsNoEnvelopeIsAnInputErrorWithItsPlace() throws {
    let cut = try report("access-list.cose") { $0.removeLast() }
    #expect(cut.errors.count == 1)
    #expect(cut.errors.first?.hasPrefix("not an envelope: truncated at byte") == true)
    let untagged = try report("access-list.cose") { $0.removeFirst() }
    #expect(untagged.errors == ["not an envelope: coseTagMissing at byte 0"])
    #expect(untagged.structure?.hasPrefix("[h'") == true)
  }

  @Test func hexadecimalFilesAreReadLikeBinaryOnes() throws {
    let binary = try EnvelopeInspect.bytes(of: path("access-list.cose"))
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-\(UUID()).hex")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data((binary.hex + "\n").utf8).write(to: file)
    #expect(try EnvelopeInspect.bytes(of: file.path) == binary)
    try Data().write(to: file)
    #expect(throws: Failure.self) { try EnvelopeInspect.bytes(of: file.path) }
  }

  @Test func textFromOutsideCannotSteerTheTerminal() {
    #expect(Printable.line("a\u{1b}[2Jb\u{202e}c\n") == "a\\u{1b}[2Jb\\u{202e}c\\u{a}")
    #expect(Printable.bytes([0x6f, 0x6b]) == "ok")
    #expect(Printable.bytes([0xff, 0x00]) == "h'ff00'")
    #expect(Printable.time(0) == "1970-01-01T00:00:00Z")
    #expect(Printable.time(.max) == "18446744073709551615 s after 1970")
  }

  /// RFC 8428, 5.1.2 and 6: the same in JSON and CBOR.
  @Test func senMLIsOneLineARecord() {
    let json = #"""
      [{"bn":"urn:dev:ow:10e2073a01080063:","bt":1320067464,"n":"temperature","u":"Cel","v":23.5},{"n":"on","vb":true,"t":5}]
      """#
    let lines = [
      "urn:dev:ow:10e2073a01080063:temperature 23.5 Cel at 2011-10-31T13:24:24Z",
      "urn:dev:ow:10e2073a01080063:on true at 2011-10-31T13:24:29Z",
    ]
    #expect(SenMLText.lines(json: Array(json.utf8)) == lines)
    let cbor = [UInt8](
      hex: """
        82 a5 00 6b 74656d7065726174757265 01 63 43656c 02 f9 4de0 21 78 1c
        75726e3a6465763a6f773a313065323037336130313038303036333a 22 1a 4eaea188
        a3 00 62 6f6e 04 f5 06 05
        """)
    #expect(cbor.flatMap { SenMLText.lines(cbor: $0) } == lines)
    #expect(SenMLText.lines(json: Array("{}".utf8)) == nil)
    #expect(SenMLText.lines(cbor: [0xa0]) == nil)
  }
}
