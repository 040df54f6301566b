import Queue
import Wire

/// One change of a ``JournaledStore``, as its file keeps it until the tables say the same.
///
/// The form is private to that file: a tag, then fields in network byte order.
enum JournalEntry: Hashable, Sendable, WireValue {
  /// A message, and under which numbers it is held.
  case put(Deposit, [MessageName])
  case remove(MessageName)
  case record(Bytes32, ReplayKey)
  /// The replay records of a sender up to `floor` are forgotten.
  case forget(ReplayScope, Bytes32, floor: UInt64)

  private enum Tag: UInt8 {
    case put = 1
    case remove, record, forget
  }

  /// Throws ``DropReason/truncated``, and ``DropReason/reservedValue`` for what no version writes.
  @_lifetime(reader: copy reader)
  init(parsing reader: inout ByteReader) throws(ParseError) {
    guard let tag = Tag(rawValue: try reader.u8()) else { throw reader.error(.reservedValue) }
    switch tag {
    case .put:
      let deposit = try Deposit(parsing: &reader)
      var names: [MessageName] = []
      for _ in 0..<(try reader.u16()) { names.append(try MessageName(parsing: &reader)) }
      self = .put(deposit, names)
    case .remove: self = .remove(try MessageName(parsing: &reader))
    case .record:
      let digest = try Bytes32(parsing: &reader)
      let scope = ReplayScope(rawValue: try reader.u8())
      self = .record(
        digest, ReplayKey(scope, sender: try Bytes32(parsing: &reader), seq: try reader.u64()))
    case .forget:
      let scope = ReplayScope(rawValue: try reader.u8())
      self = .forget(scope, try Bytes32(parsing: &reader), floor: try reader.u64())
    }
  }

  var encodedLength: Int {
    switch self {
    case .put(let deposit, let names): 1 + deposit.encodedLength + 2 + names.count * MessageName.length
    case .remove: 1 + MessageName.length
    case .record: 1 + Bytes32.length + 1 + Bytes32.length + 8
    case .forget: 1 + 1 + Bytes32.length + 8
    }
  }

  /// Throws ``EmitError/notRepresentable`` for more mailboxes than 16 bits count.
  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError) {
    switch self {
    case .put(let deposit, let names):
      guard let count = UInt16(exactly: names.count) else { throw .notRepresentable }
      try writer.u8(Tag.put.rawValue)
      try deposit.emit(into: &writer)
      try writer.u16(count)
      for name in names { try name.emit(into: &writer) }
    case .remove(let name):
      try writer.u8(Tag.remove.rawValue)
      try name.emit(into: &writer)
    case .record(let digest, let key):
      try writer.u8(Tag.record.rawValue)
      try digest.emit(into: &writer)
      try writer.u8(key.scope.rawValue)
      try key.sender.emit(into: &writer)
      try writer.u64(key.seq)
    case .forget(let scope, let sender, let floor):
      try writer.u8(Tag.forget.rawValue)
      try writer.u8(scope.rawValue)
      try sender.emit(into: &writer)
      try writer.u64(floor)
    }
  }
}

extension MessageName: WireValue {
  static let length = 1 + Bytes32.length + 8

  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    guard let kind = Mailbox.Kind(rawValue: try reader.u8()) else { throw reader.error(.reservedValue) }
    self.init(Mailbox(kind, try Bytes32(parsing: &reader)), try reader.u64())
  }

  public var encodedLength: Int { Self.length }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u8(mailbox.kind.rawValue)
    try mailbox.address.emit(into: &writer)
    try writer.u64(number)
  }
}

extension Deposit: WireValue {
  private static let fixedLength = Bytes32.length + 8 + 1 + 1 + 8 + 4
  private static let hasTopic: UInt8 = 1
  private static let hasExpiry: UInt8 = 2
  private static let wantsReceipt: UInt8 = 4

  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let sender = try Bytes32(parsing: &reader)
    let seq = try reader.u64()
    let flags = try reader.u8()
    guard flags < 8 else { throw reader.error(.reservedValue) }
    let protectionClass = try reader.u8()
    let accepted = Instant(microseconds: Int64(bitPattern: try reader.u64()))
    let topic = flags & Self.hasTopic == 0 ? nil : try reader.u64()
    let expires =
      flags & Self.hasExpiry == 0 ? nil : Instant(microseconds: Int64(bitPattern: try reader.u64()))
    let count = Int(try reader.u32())
    self.init(
      sender: sender, seq: seq, topic: topic, protectionClass: protectionClass, accepted: accepted, expires: expires,
      receiptWanted: flags & Self.wantsReceipt != 0, bytes: try reader.bytes(count).array())
  }

  public var encodedLength: Int {
    Self.fixedLength + (topic == nil ? 0 : 8) + (expires == nil ? 0 : 8) + bytes.count
  }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard let count = UInt32(exactly: bytes.count) else { throw .notRepresentable }
    try sender.emit(into: &writer)
    try writer.u64(seq)
    try writer.u8(
      (topic == nil ? 0 : Self.hasTopic) | (expires == nil ? 0 : Self.hasExpiry)
        | (receiptWanted ? Self.wantsReceipt : 0))
    try writer.u8(protectionClass)
    try writer.u64(UInt64(bitPattern: accepted.microseconds))
    if let topic { try writer.u64(topic) }
    if let expires { try writer.u64(UInt64(bitPattern: expires.microseconds)) }
    try writer.u32(count)
    try writer.bytes(bytes)
  }
}
