import Crypto
import Envelope
import Foundation
import Testing
import Wire

/// The files of Config/demo, which tools/lab/make_demo_home.py made with cwt and cbor2.
@Suite struct DemoHomeTests {
  @Test(arguments: ["gateway", "owner", "phone2"])
  func peerRecordIsTakenByEachMember(name: String) throws {
    let envelope = try SignedEnvelope(parsing: try Demo.bytes("peer-record-\(name).cose"))
    let oracle = try Demo.identity("oracle").public
    let directory = try PeerDirectory.accept(
      envelope, for: try Demo.identity(name), oracle: oracle, current: nil)
    #expect(directory.record.version == GroupEpoch(group: Array("pangate-demohome".utf8), epoch: 1))
    #expect(directory.record.members.map(\.name) == Demo.names)
    for name in Demo.names {
      let identity = try Demo.identity(name)
      let member = try #require(directory.member(named: name))
      #expect(member.identity == identity.public)
      #expect(member.agreementKey.x963Representation == identity.agreementKey.publicKey.x963Representation)
    }
    let lock = try #require(directory.member(eui64: 0x0270_616e_6700_0b01))
    #expect(lock.name == "lock")
    #expect(lock.class == .authOnly)
    #expect(lock.roles == .node)
    #expect(lock.traits == .sleeps)
    #expect(lock.gateway == directory.member(named: "gateway")?.address)
    #expect(lock.commanders == [directory.member(named: "owner")?.address])
    #expect(directory.member(named: "rain")?.traits == .vouched)
    #expect(directory.member(named: "occupancy")?.class == .confidential)
    #expect(directory.record.relays.map(\.url) == ["coap+tcp://[::1]:5683"])
    #expect(try PeerRecord(parsing: directory.record.encoded()) == directory.record)
    // For another it stays closed, whoever that is.
    #expect(
      reason {
        _ = try PeerDirectory.accept(envelope, for: try Demo.identity("lock"), oracle: oracle, current: nil)
      } == .envelopeNotForUs)
  }

  @Test func accessListSaysWhatTheReadableRecordSays() throws {
    let envelope = try SignedEnvelope(parsing: try Demo.bytes("access-list.cose"))
    let directory = try AccessDirectory.accept(
      envelope, for: try Demo.identity("relay").address, oracle: try Demo.identity("oracle").public,
      current: nil)
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(Demo.bytes("peer-record.json"))) as? [String: Any])
    let members = try #require(json["members"] as? [[String: Any]])
    #expect(directory.list.entries.count == members.count)
    for member in members {
      let from = try Demo.identity(try #require(member["name"] as? String)).address
      let party = try #require(directory.party(from))
      #expect(party.class.name == member["class"] as? String)
      #expect((party.host == nil) == (member["gateway"] == nil))
      let allowed = try #require(member["mayEnvelopeTo"] as? [String])
      for name in Demo.names {
        #expect(directory.maySend(from: from, to: try Demo.identity(name).address) == allowed.contains(name))
      }
    }
  }

  @Test func demoFilesAreKeptByteForByte() throws {
    for file in [
      "peer-record-gateway.cose", "peer-record-owner.cose", "peer-record-phone2.cose", "access-list.cose",
    ] {
      let bytes = try Demo.bytes(file)
      let envelope = try SignedEnvelope(parsing: bytes)
      #expect(envelope.bytes == bytes)
      #expect(try envelope.header.encoded() == Array(envelope.protectedHeader))
      try envelope.verify(with: try Demo.identity("oracle").signingKey.publicKey)
      for length in stride(from: 0, to: bytes.count, by: 7) {
        #expect(reason { _ = try SignedEnvelope(parsing: Array(bytes.prefix(length))) } == .truncated)
      }
    }
  }
}
