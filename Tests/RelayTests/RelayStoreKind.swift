import Queue
import Relay
import Testing

/// A store that must behave as the others do.
struct RelayStoreKind: Sendable, CustomTestStringConvertible {
  var testDescription: String
  /// Opens one, together with what it needs for as long as it is used.
  var open: @Sendable (QueueLimits) throws -> (store: any RelayStore, needs: [AnyObject])

  static let all = [memory] + onThisMachine + (NATSServer.isAvailable ? [nats] : [])

  static let memory = RelayStoreKind(testDescription: "memory") { limits in
    (LocalRelayStore(MemoryStore(), limits: limits), [])
  }

  static let nats = RelayStoreKind(testDescription: "nats") { limits in
    let server = try NATSServer()
    return (try server.store(limits: limits), [server])
  }
}

/// A store of one kind and what tests do with it again and again.
struct TestedRelayStore {
  let store: any RelayStore
  private let needs: [AnyObject]

  init(_ kind: RelayStoreKind, limits: QueueLimits = QueueLimits()) throws { (store, needs) = try kind.open(limits) }

  /// What a served mailbox lists once it lists `count`.
  func list(_ mailbox: Mailbox, count: Int, after number: UInt64 = 0) throws -> [HeldMessage] {
    var found: [HeldMessage] = []
    try eventually("\(count) messages listed") {
      found = try store.list(in: mailbox, after: number, limit: .max)
      return found.count == count
    }
    return found
  }
}

/// A digest that belongs to the deposit's bytes, as far as tests can tell.
func recognised(_ deposit: Deposit) -> Deduplication {
  Deduplication(.relay, digest: address(deposit.bytes.first ?? 0))
}

extension RelayDeposit {
  /// As a sender's message comes.
  static func sent(_ deposit: Deposit, to mailboxes: Mailbox...) -> RelayDeposit {
    RelayDeposit(deposit, in: mailboxes, deduplication: recognised(deposit))
  }
}
