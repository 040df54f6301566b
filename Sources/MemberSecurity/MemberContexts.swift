import CoAP
import Crypto
import Envelope
import OSCORE
import Wire

/// The OSCORE contexts that one member shares with others (RFC 8613), and the EDHOC sessions in which it is about to agree
/// on them (RFC 9528).
///
/// Without input and output: requests and responses go in and come out, and what must survive a restart goes to the `keep`
/// that every operation is handed. A message is handed out only after what it used up was kept. A restart begins with what
/// was kept; the first request that each peer then sends is answered by an Echo challenge (RFC 8613, B.1.2).
public struct MemberContexts: Sendable {
  /// Keeps the state of the context with a member in durable storage, or forgets it for `nil`. Returns whether that was
  /// done: if not, nothing that depends on it is said. The state holds keys.
  public typealias Keep = (Address, OSCOREDurableState?) -> Bool

  /// Whose contexts these are.
  public let identity: Identity
  public let limits: MemberSecurityLimits
  /// What was refused or dropped, by reason.
  public internal(set) var counters = DropCounters()
  var table: OSCOREContextTable<Address>
  var halfOpen: [HalfOpenSession] = []
  var random: any RandomNumberGenerator & Sendable

  /// `states` are those that were kept before a restart. `random` draws ephemeral keys and challenges: hand in one that is
  /// fit for keys.
  public init(
    identity: Identity, limits: MemberSecurityLimits = MemberSecurityLimits(),
    restoring states: [(member: Address, state: OSCOREDurableState)] = [],
    random: some RandomNumberGenerator & Sendable
  ) {
    self.identity = identity
    self.limits = limits
    self.random = random
    table = OSCOREContextTable(capacity: limits.contexts)
    for (member, state) in states {
      let context = OSCORESecurityContext(
        restoring: state, challenge: self.random.next(), configuration: limits.context)
      do { try table.insert(context, for: member) } catch { counters.count(error.reason) }
    }
  }

  /// Whether there is a context with a member.
  public func hasContext(with member: Address) -> Bool { table[member] != nil }

  /// The context with a member, to look at.
  public subscript(member: Address) -> OSCORESecurityContext? { table[member] }

  /// Members with whom there is a context.
  public var count: Int { table.count }

  /// Sessions that wait for message_3.
  public var halfOpenCount: Int { halfOpen.count }

  /// Forgets the context with a member, here and where it was kept: it was removed from the peer record.
  public mutating func remove(_ member: Address, keep: Keep) {
    guard table[member] != nil else { return }
    table.remove(member)
    // If it could not be forgotten there, whoever restores it asks the peer record first.
    _ = keep(member, nil)
  }

  // MARK: OSCORE

  /// Protects a request to `member`. Throws ``DropReason/oscoreContextUnknown``, ``DropReason/queueUnavailable`` if what it
  /// used up could not be kept, and what ``OSCORESecurityContext/protectRequest(_:withIDContext:)`` throws.
  public mutating func protect(
    _ request: CoAPRequest, to member: Address, keep: Keep
  ) throws(OSCOREError) -> (request: CoAPRequest, exchange: OSCOREExchange) {
    let protected = try table.withContext(of: member) { (context) throws(OSCOREError) in
      try context.protectRequest(request)
    }
    try settle(member, keep)
    return protected
  }

  /// Protects a response to a request that ``receive(_:from:now:keep:)`` has verified. Throws as
  /// ``protect(_:to:keep:)`` does, and ``DropReason/oscoreContextOther`` if the context was replaced since.
  public mutating func protect(
    _ response: CoAPResponse, to member: Address, in exchange: OSCOREExchange, keep: Keep
  ) throws(OSCOREError) -> CoAPResponse {
    let protected = try table.withContext(of: member) { (context) throws(OSCOREError) in
      try context.protectResponse(response, in: exchange)
    }
    try settle(member, keep)
    return protected
  }

  /// Verifies a response of `member`; throws what ``OSCORESecurityContext/unprotectResponse(_:in:)`` throws.
  public func unprotect(
    _ response: CoAPResponse, from member: Address, in exchange: inout OSCOREExchange
  ) throws(OSCOREError) -> CoAPResponse {
    guard let context = table[member] else { throw OSCOREError(.oscoreContextUnknown) }
    return try context.unprotectResponse(response, in: &exchange)
  }

  /// Keeps what was reserved: before that, no message that used it may leave.
  mutating func settle(_ member: Address, _ keep: Keep) throws(OSCOREError) {
    guard let context = table[member], let reservation = context.reservation else { return }
    guard keep(member, context.durableState) else { throw OSCOREError(.queueUnavailable) }
    try table.withContext(of: member) { (context) throws(OSCOREError) in context.persisted(reservation) }
  }

  /// Takes a new context with a member, in the place of the one that there was. Throws ``DropReason/queueUnavailable`` or
  /// ``DropReason/oscoreContextLimit``; then all is as before.
  mutating func adopt(_ context: OSCORESecurityContext, with member: Address, keep: Keep) throws(OSCOREError) {
    var (context, table) = (context, table)
    let reservation = context.reservation
    if let reservation { context.persisted(reservation) }
    try table.insert(context, for: member)
    guard keep(member, context.durableState) else { throw OSCOREError(.queueUnavailable) }
    self.table = table
  }

  // MARK: What is drawn

  /// A shortest connection identifier that names nobody yet: one byte while there is one (RFC 9528, 3.3.2). Which of
  /// them is drawn, so that what is left of an old session does not meet a new one.
  mutating func freeIdentifier(besides other: EDHOCConnectionIdentifier? = nil) -> EDHOCConnectionIdentifier {
    func isFree(_ bytes: [UInt8]) -> Bool {
      guard bytes != other?.bytes, let identifier = try? OSCOREIdentifier(bytes) else { return false }
      return !table.contains(recipientID: identifier)
        && !halfOpen.contains { $0.responder.connectionIdentifier?.bytes == bytes }
    }
    // Those that stand as integers take one byte in EDHOC messages too.
    let integers = Array(UInt8(0)..<0x18) + Array(UInt8(0x20)..<0x38)
    let others = Array(UInt8(0x18)..<0x20) + Array(UInt8(0x38)...0xff)
    if let byte = integers.filter({ isFree([$0]) }).randomElement(using: &random)
      ?? others.first(where: { isFree([$0]) })
    {
      return EDHOCConnectionIdentifier([byte])
    }
    for value in UInt16(0)...(.max) {
      let bytes = [UInt8(value >> 8), UInt8(value & 0xff)]
      if isFree(bytes) { return EDHOCConnectionIdentifier(bytes) }
    }
    // Requests are tried with each context that shares an identifier.
    return EDHOCConnectionIdentifier([0, 0, 0])
  }

  /// 8 random bytes for an Echo option (RFC 9175, 2.3).
  public mutating func drawChallenge() -> [UInt8] {
    let word = random.next()
    return (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
  }

  /// A fresh ephemeral key. One draw in 2^32 is no scalar of P-256: then it is drawn again.
  mutating func ephemeralKey() -> P256.KeyAgreement.PrivateKey? {
    for _ in 0..<8 {
      let bytes = (0..<4).flatMap { _ in
        let word = random.next()
        return (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
      }
      if let key = try? P256.KeyAgreement.PrivateKey(rawRepresentation: bytes) { return key }
    }
    return nil
  }
}

/// Never keys.
extension MemberContexts: CustomStringConvertible, CustomReflectable {
  public var description: String { "security of \(identity.name) with \(count) members" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
