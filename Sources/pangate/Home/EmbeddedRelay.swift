import Bridge
import Envelope
import Foundation
import Queue
import Relay
import Wire

/// A relay in the gateway's process, and the owner's endpoint: for one box, for replays, and to try things.
final class EmbeddedRelay {
  /// The files that it is made of.
  struct Files {
    var identity: String
    var accessList: String
  }

  var relay: RelayCore<LocalRelayStore<SQLiteStore>>
  var owner: Endpoint<SQLiteStore>?
  let gatewaySession: RelaySession
  let ownerSession: RelaySession?
  /// Whether the relay may hold something for the gateway, or for the owner: looked for only then, since the gateway's
  /// nodes have a mailbox each.
  var mail = (gateway: true, owner: true)

  init(
    _ files: Files, _ configuration: GatewayConfiguration, gateway: Address, serving: [Address],
    oracle: PublicIdentity, directory: PeerDirectory, state: String?
  ) throws {
    guard let identity = RelayIdentity(try IdentityFiles.identity(files.identity)) else {
      throw Failure.cannotStart("\(files.identity): its signing key is not the certificate's")
    }
    do {
      relay = try RelayCore(
        identity, oracle: oracle, store: try Home.store(state, "relay"), queueLimits: configuration.queues)
    } catch let error as StoreError { throw Failure.cannotStart(error.description) }
    try relay.obey(accessListFile: files.accessList, now: Instant(seconds: 0))
    do {
      gatewaySession = try relay.openSession(client: gateway, serving: serving)
    } catch {
      throw Failure.cannotStart(
        "\(files.accessList): does not let the gateway serve its nodes: \(error.reason.name)")
    }
    guard let file = configuration.ownerFile else {
      ownerSession = nil
      return
    }
    let ownerIdentity = try IdentityFiles.identity(file)
    do {
      ownerSession = try relay.openSession(client: ownerIdentity.address)
    } catch {
      throw Failure.cannotStart("\(file): is not on the relay's access list: \(error.reason.name)")
    }
    owner = Endpoint(
      identity: ownerIdentity, directory: directory, relay: relay.identity.address,
      store: try Home.store(state, "owner"), queues: configuration.queues)
  }

  func expire(now: Instant) throws {
    if let due = try relay.earliestExpiry(), due <= now, try relay.expire(now: now) > 0 { mail = (true, true) }
  }
}

/// Between the hops in one process.
extension Home {
  /// Passes envelopes on until nobody has anything to pass.
  func pump(now: Instant) throws {
    guard let embedded else { return }
    var moved = true
    while moved {
      moved = false
      if try pumpGateway(embedded, now: now) { moved = true }
      if try pumpOwner(embedded, now: now) { moved = true }
    }
  }

  private func pumpGateway(_ embedded: EmbeddedRelay, now: Instant) throws -> Bool {
    var moved = false
    for message in try gateway.gateway.outbound(limit: window) {
      guard submit(message, embedded, embedded.gatewaySession, from: "gateway", now: now) else { continue }
      try gateway.gateway.confirmOutbound(message.number)
      moved = true
    }
    guard embedded.mail.gateway else { return moved }
    let pending = try embedded.relay.pending(for: embedded.gatewaySession, limit: window, now: now)
    embedded.mail.gateway = pending.count == window
    for message in pending {
      guard let address = Address(message.mailbox.address) else { continue }
      let custody = gateway.deliver(message.bytes, now: now)
      collect(now: now)
      if try settle(custody, message, address, embedded, embedded.gatewaySession, now: now) { moved = true }
    }
    return moved
  }

  private func pumpOwner(_ embedded: EmbeddedRelay, now: Instant) throws -> Bool {
    guard let session = embedded.ownerSession, let outbound = try embedded.owner?.outbound(limit: window) else {
      return false
    }
    var moved = false
    for message in outbound {
      guard submit(message, embedded, session, from: "owner", now: now) else { continue }
      try embedded.owner?.confirmOutbound(message.number)
      moved = true
    }
    guard embedded.mail.owner else { return moved }
    let pending = try embedded.relay.pending(for: session, limit: window, now: now)
    embedded.mail.owner = pending.count == window
    for message in pending {
      guard let address = Address(message.mailbox.address),
        let (custody, delivery) = embedded.owner?.deliver(message.bytes, now: now)
      else { continue }
      if let delivery { note(now, .delivered(DeliveredMessage(delivery))) }
      if case .refused(let reason) = custody { note(now, .ownerRefused(reason)) }
      if try settle(custody, message, address, embedded, session, now: now) { moved = true }
    }
    return moved
  }

  /// Whether the relay has decided about a message, so that its sender may forget it.
  private func submit(
    _ message: HeldMessage, _ embedded: EmbeddedRelay, _ session: RelaySession, from sender: String, now: Instant
  ) -> Bool {
    switch embedded.relay.submit(message.bytes, session: session, now: now) {
    case .accepted, .alreadyInCustody:
      embedded.mail = (true, true)
      return true
    case .refused(let reason, _):
      note(now, .relayRefused(reason, from: sender, sequence: message.seq))
      switch reason {
      case .queueUnavailable, .queueFull, .queueNodeFull: return false
      default: return true
      }
    }
  }

  private func settle(
    _ custody: Custody, _ message: HeldMessage, _ address: Address, _ embedded: EmbeddedRelay,
    _ session: RelaySession, now: Instant
  ) throws -> Bool {
    switch custody {
    case .taken: return try embedded.relay.delivered(message.number, to: address, in: session)
    case .refused(let reason):
      // Its sender may have a status message now.
      embedded.mail = (true, true)
      return try embedded.relay.rejected(message, in: session, reason: reason, now: now)
    case .later:
      // When something else happens.
      embedded.mail = (true, true)
      return false
    }
  }
}
