import Envelope
import Foundation
import Queue
import Relay
import Wire

/// An endpoint's configuration file. Config/endpoint.yaml is the commented example.
struct EndpointConfiguration {
  var identityFile: String
  var oracleFile: String
  var peerRecordFile: String
  var state: String
  var relay = RelayClientSection()
  var queues = QueueLimits()

  static func load(_ file: String) throws -> EndpointConfiguration {
    let root = try ConfigSection.load(file)
    let identity = try root.requiredPath("identity")
    let group = try root.requiredSection("group")
    let oracle = try group.requiredPath("oracle")
    let record = try group.requiredPath("peer-record")
    try group.finish()
    var configuration = EndpointConfiguration(
      identityFile: identity, oracleFile: oracle, peerRecordFile: record, state: try root.requiredPath("state"))
    if let section = try root.section("relay") {
      configuration.relay = try RelayClientSection(section)
      try section.finish()
    }
    try root.finish()
    return configuration
  }

  /// The peer record of the file, for `identity`.
  func directory(_ identity: Identity) throws -> PeerDirectory {
    try PeerRecordFile.directory(peerRecordFile, for: identity, oracle: IdentityFiles.publicIdentity(oracleFile))
  }
}

/// Opening the files that an oracle has signed.
enum PeerRecordFile {
  static func directory(_ file: String, for identity: Identity, oracle: PublicIdentity) throws -> PeerDirectory {
    let bytes = try InputFile.bytes(file)
    do throws(ParseError) {
      let envelope = try SignedEnvelope(parsing: bytes, maximumSize: SignedEnvelope.maximumRecordSize)
      return try PeerDirectory.accept(envelope, for: identity, oracle: oracle, current: nil)
    } catch {
      throw Failure.cannotStart("\(file): the peer record is refused: \(error)")
    }
  }
}
