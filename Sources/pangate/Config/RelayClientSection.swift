import Envelope
import Foundation
import Relay

/// `relay:` of a gateway or an endpoint that reaches its relays over the network.
struct RelayClientSection {
  /// Instead of those of the peer record.
  var urls: [RelayURL] = []
  var certificateFile: String?
  var trust = RelayClientConfiguration.Trust.identity
  var connectTime: Duration?
  var answerTime: Duration?
  var penalty: Duration?
  var longestWait: Duration?
  var pingInterval: Duration?

  init() {}

  init(_ section: ConfigSection) throws {
    urls = try section.texts("urls").map { text in
      guard let url = RelayURL(text) else {
        throw section.error("urls", "must be a list like coaps+tcp://relay.example:5684, not '\(text)'")
      }
      return url
    }
    certificateFile = try section.path("certificate")
    guard urls.isEmpty == (certificateFile == nil) else {
      throw section.error("urls", "and 'certificate' (the relay's, to know it by) go together")
    }
    switch try section.text("trust") {
    case nil, "identity": trust = .identity
    case "system": trust = .system
    default: trust = .file(try section.resolved("trust"))
    }
    func seconds(_ key: String) throws -> Duration? {
      try section.integer(key, in: 1...86_400).map { .seconds($0) }
    }
    connectTime = try seconds("connect-seconds")
    answerTime = try seconds("answer-seconds")
    penalty = try seconds("penalty-seconds")
    longestWait = try seconds("longest-wait-seconds")
    pingInterval = try seconds("ping-seconds")
  }

  /// The relays of the peer record, or those of the configuration.
  func client(_ identity: Identity, serving: [Address], directory: PeerDirectory) throws -> RelayClientConfiguration {
    var relays: [RelayClientConfiguration.Relay] = []
    if let certificateFile {
      let address = try IdentityFiles.publicIdentity(certificateFile).address
      relays = urls.map { .init(url: $0, address: address) }
    } else {
      relays = directory.record.relays.compactMap { entry in
        RelayURL(entry.url).map { .init(url: $0, address: entry.address) }
      }
    }
    guard !relays.isEmpty else {
      throw Failure.cannotStart(
        "the peer record names no relay: give 'relay.urls' and 'relay.certificate' in the configuration")
    }
    for relay in relays where !relay.url.scheme.isSecure && !relay.url.isLoopback {
      throw Failure.cannotStart("\(relay.url): would be readable on the network: use coaps+tcp:// or coaps+ws://")
    }
    var client = RelayClientConfiguration(relays: relays, identity: identity, serving: serving)
    client.trust = trust
    if let connectTime { client.connectTime = connectTime }
    if let answerTime { client.answerTime = answerTime }
    if let penalty { client.penalty = penalty }
    if let longestWait { client.longestWait = longestWait }
    if let pingInterval { client.pingInterval = pingInterval }
    return client
  }
}
