import COSE
import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import Envelope

@Suite struct DirectoryTests {
  let world = World()
  let group = Group()

  @Test func membersAreFoundByAddressRadioAndName() throws {
    let directory = try PeerDirectory(group.record)
    let lock = world.sender.address
    #expect(directory.member(lock)?.name == "lock")
    #expect(directory.member(named: "lock")?.address == lock)
    #expect(directory.member(eui64: 0x0270_616e_6700_0b01)?.address == lock)
    #expect(try directory.sender(.short(lock.short)).address == lock)
    #expect(try directory.recipients([.full(lock), .short(lock.short)]).map(\.address) == [lock])
    let stranger = world.other.address
    #expect(directory.member(stranger) == nil)
    #expect(directory.member(named: "stranger") == nil)
    #expect(directory.member(eui64: 1) == nil)
    #expect(reason { _ = try directory.sender(.full(stranger)) } == .envelopeSenderUnknown)
    #expect(reason { _ = try directory.sender(.short(stranger.short)) } == .envelopeSenderUnknown)
    #expect(
      reason { _ = try directory.recipients([.full(lock), .full(stranger)]) } == .envelopeRecipientUnknown)
  }

  /// No valid record has two members under one short address; should one get in, nothing is guessed.
  @Test func sharedShortAddressIsAmbiguous() {
    var record = group.record
    var twin = record.members[1]
    twin.name = "twin"
    record.members.append(twin)
    #expect(reason { _ = try PeerDirectory(record) } == .peerRecordInvalid)
    let directory = PeerDirectory(unchecked: record)
    let short = AddressReference.short(world.sender.address.short)
    #expect(reason { _ = try directory.sender(short) } == .envelopeSenderAmbiguous)
    #expect(reason { _ = try directory.recipients([short]) } == .envelopeRecipientAmbiguous)
  }

  @Test func verifiedSenderIsTheOneWhoseKeyFits() throws {
    let directory = try PeerDirectory(group.record)
    for form in [EnvelopeDraft.AddressForm.full, .short] {
      let envelope = try world.make(world.draft(.authOnly, form: form))
      #expect(try directory.verifiedSender(of: envelope).name == "lock")
      #expect(
        reason { _ = try directory.verifiedSender(of: try forged(as: world.sender, form: form)) }
          == .coseSignatureInvalid)
    }
    let stranger = try world.make(world.draft(.authOnly), from: world.other)
    #expect(reason { _ = try directory.verifiedSender(of: stranger) } == .envelopeSenderUnknown)
  }

  /// An envelope in the name of `identity`, signed with the key of World's other.
  private func forged(as identity: Identity, form: EnvelopeDraft.AddressForm) throws -> SignedEnvelope {
    let header = try world.draft(.authOnly, form: form).header(from: identity.address).cbor()
    let digest = COSESign1.digest(protected: header.rawSpan, payload: RawSpan())
    return try SignedEnvelope(
      parsing: World.envelope(
        protected: header, payload: [],
        signature: [UInt8](try world.other.signingKey.signature(for: digest).rawRepresentation)))
  }

  @Test func gatewayVouchesOnlyForItsVouchedNodes() throws {
    var record = group.record
    func vouch(_ by: Identity, for node: Identity) -> DropReason? {
      reason {
        let directory = try PeerDirectory(record)
        var header = world.draft(.authOnly).header(from: by.address)
        header.extensions.onBehalfOf = .short(node.address.short)
        _ = try directory.vouched(header, by: try directory.sender(header.sender))
      }
    }
    #expect(vouch(world.oracle, for: world.sender) == nil)
    #expect(vouch(world.reader, for: world.sender) == .envelopeOnBehalfOfRefused)
    #expect(vouch(world.oracle, for: world.reader) == .envelopeOnBehalfOfRefused)
    #expect(vouch(world.oracle, for: world.other) == .envelopeOnBehalfOfRefused)
    record.members[1].traits = .sleeps
    #expect(vouch(world.oracle, for: world.sender) == .envelopeOnBehalfOfRefused)
    let plain = world.draft(.authOnly).header(from: world.oracle.address)
    #expect(try PeerDirectory(record).vouched(plain, by: record.members[0]) == nil)
  }

  private func recordEnvelope(
    _ record: PeerRecord, from oracle: Identity, to reader: Identity,
    format: UInt64 = ContentFormats.peerRecord
  ) throws -> SignedEnvelope {
    let content = SignedEnvelope.Content(format: format, bytes: try record.encoded())
    return try world.make(world.draft(.confidential, to: [reader], content: content), from: oracle)
  }

  @Test func peerRecordIsTakenFromTheOracleOnlyAndOnlyIfNewer() throws {
    let oracle = world.other
    func accept(_ envelope: SignedEnvelope, current: GroupEpoch? = nil) -> DropReason? {
      reason {
        _ = try PeerDirectory.accept(envelope, for: world.reader, oracle: oracle.public, current: current)
      }
    }
    let second = Group(epoch: 2).record
    let envelope = try recordEnvelope(second, from: oracle, to: world.reader)
    #expect(accept(envelope) == nil)
    #expect(accept(envelope, current: Group(epoch: 1).record.version) == nil)
    #expect(accept(envelope, current: Group(epoch: 2).record.version) == .peerRecordEpochStale)
    #expect(accept(envelope, current: Group(epoch: 3).record.version) == .peerRecordEpochStale)
    let otherGroup = GroupEpoch(group: [UInt8](repeating: 0, count: 16), epoch: 1)
    #expect(accept(envelope, current: otherGroup) == .peerRecordInvalid)
    #expect(
      accept(try recordEnvelope(second, from: world.sender, to: world.reader)) == .peerRecordNotFromOracle)
    #expect(accept(try recordEnvelope(second, from: oracle, to: world.sender)) == .envelopeNotForUs)
    #expect(
      accept(try recordEnvelope(second, from: oracle, to: world.reader, format: 65005)) == .peerRecordInvalid)
    var bytes = envelope.bytes
    bytes[bytes.count - 1] ^= 1
    #expect(accept(try SignedEnvelope(parsing: bytes)) == .coseSignatureInvalid)
  }

  @Test func accessListIsTakenFromTheOracleOnlyAndOnlyIfNewer() throws {
    let (oracle, relay) = (world.other, world.reader)
    let list = try PeerRecordTests.accessList(epoch: 2)
    func envelope(_ from: Identity, format: UInt64 = ContentFormats.accessList) throws -> SignedEnvelope {
      let content = SignedEnvelope.Content(format: format, bytes: try list.encoded())
      return try world.make(world.draft(.authOnly, to: [relay], content: content), from: from)
    }
    func accept(_ envelope: SignedEnvelope, for address: Address? = nil, epoch: UInt64? = nil) -> DropReason? {
      reason {
        _ = try AccessDirectory.accept(
          envelope, for: address ?? relay.address, oracle: oracle.public,
          current: epoch.map { GroupEpoch(group: list.version.group, epoch: $0) })
      }
    }
    #expect(accept(try envelope(oracle)) == nil)
    #expect(accept(try envelope(oracle), epoch: 1) == nil)
    #expect(accept(try envelope(oracle), epoch: 2) == .peerRecordEpochStale)
    #expect(accept(try envelope(world.sender)) == .peerRecordNotFromOracle)
    #expect(accept(try envelope(oracle, format: 65001)) == .peerRecordInvalid)
    #expect(accept(try envelope(oracle), for: world.sender.address) == .envelopeNotForUs)
  }

  @Test func relayServesAPartyAndTheNodesItHosts() throws {
    let directory = try AccessDirectory(PeerRecordTests.accessList())
    let (gateway, lock, owner) = (world.oracle.address, world.sender.address, world.reader.address)
    #expect(directory.mayServe(gateway, for: gateway))
    #expect(directory.mayServe(gateway, for: lock))
    #expect(!directory.mayServe(gateway, for: owner))
    #expect(!directory.mayServe(lock, for: gateway))
    #expect(!directory.mayServe(owner, for: lock))
    #expect(!directory.mayServe(world.other.address, for: world.other.address))
    #expect(directory.maySend(from: lock, to: owner))
    #expect(directory.maySend(from: owner, to: lock))
    #expect(!directory.maySend(from: owner, to: gateway))
    #expect(!directory.maySend(from: lock, to: lock))
    #expect(!directory.maySend(from: world.other.address, to: owner))
  }

  @Test func relayAdmitsWhatTheListAllows() throws {
    let directory = try AccessDirectory(PeerRecordTests.accessList())
    func admit(
      _ envelopeClass: EnvelopeClass, _ from: Identity, _ to: [Identity], onBehalfOf: Identity? = nil
    ) -> DropReason? {
      reason {
        for form in [EnvelopeDraft.AddressForm.full, .short] {
          var draft = world.draft(envelopeClass, to: to, form: form)
          draft.extensions.onBehalfOf = onBehalfOf.map { .full($0.address) }
          let route = try directory.admit(try world.make(draft, from: from))
          #expect(route.sender.address == from.address)
          #expect(route.onBehalfOf?.address == onBehalfOf?.address)
          #expect(route.recipients.map(\.address) == to.map(\.address))
        }
      }
    }
    let (gateway, lock, owner, stranger) = (world.oracle, world.sender, world.reader, world.other)
    #expect(admit(.authOnly, lock, [owner]) == nil)
    #expect(admit(.confidential, lock, [owner]) == nil)
    #expect(admit(.noConsequence, lock, [owner]) == .envelopeClassTooWeak)
    #expect(admit(.authOnly, owner, [lock]) == nil)
    // No downgrade towards the device either.
    #expect(admit(.noConsequence, owner, [lock]) == .envelopeClassTooWeak)
    #expect(admit(.authOnly, owner, [gateway]) == .envelopeNotAllowed)
    #expect(admit(.authOnly, owner, [lock, gateway]) == .envelopeNotAllowed)
    #expect(admit(.authOnly, stranger, [owner]) == .envelopeSenderUnknown)
    #expect(admit(.authOnly, lock, [stranger]) == .envelopeRecipientUnknown)
    #expect(admit(.noConsequence, gateway, [owner]) == nil)
    #expect(admit(.authOnly, gateway, [owner], onBehalfOf: lock) == nil)
    #expect(admit(.noConsequence, gateway, [owner], onBehalfOf: lock) == .envelopeClassTooWeak)
    #expect(admit(.authOnly, owner, [lock], onBehalfOf: lock) == .envelopeOnBehalfOfRefused)
    #expect(reason { _ = try directory.admit(try forged(as: lock, form: .full)) } == .coseSignatureInvalid)
  }
}
