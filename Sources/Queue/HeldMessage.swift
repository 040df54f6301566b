import Wire

/// What is put into one or more mailboxes: an envelope's bytes and what the queues must know of it.
public struct Deposit: Hashable, Sendable {
  /// The address of the sender.
  public var sender: Bytes32
  /// The sender's sequence number.
  public var seq: UInt64
  /// Of held messages of one sender with one topic only the newest is kept.
  public var topic: UInt64?
  /// 0 no-consequence, 1 auth-only, 2 confidential.
  public var protectionClass: UInt8
  /// When this hop took custody.
  public var accepted: Instant
  /// From when on it must not be delivered any more; `nil` for never.
  public var expires: Instant?
  /// The sender asked to be told what became of it.
  public var receiptWanted: Bool
  /// The envelope, byte for byte.
  public var bytes: [UInt8]

  public init(
    sender: Bytes32, seq: UInt64, topic: UInt64? = nil, protectionClass: UInt8, accepted: Instant,
    expires: Instant? = nil, receiptWanted: Bool = false, bytes: [UInt8]
  ) {
    self.sender = sender
    self.seq = seq
    self.topic = topic
    self.protectionClass = protectionClass
    self.accepted = accepted
    self.expires = expires
    self.receiptWanted = receiptWanted
    self.bytes = bytes
  }

  /// What it takes of a limit.
  public var usage: Usage { Usage(messages: 1, bytes: bytes.count) }
}

/// A message in a mailbox.
public struct HeldMessage: Hashable, Sendable {
  public var mailbox: Mailbox
  /// Its number in this mailbox: from 1, rising, never given twice, not even after the mailbox was empty.
  public var number: UInt64
  public var deposit: Deposit

  public init(mailbox: Mailbox, number: UInt64, deposit: Deposit) {
    self.mailbox = mailbox
    self.number = number
    self.deposit = deposit
  }

  public var sender: Bytes32 { deposit.sender }
  public var seq: UInt64 { deposit.seq }
  public var topic: UInt64? { deposit.topic }
  public var protectionClass: UInt8 { deposit.protectionClass }
  public var accepted: Instant { deposit.accepted }
  public var expires: Instant? { deposit.expires }
  public var receiptWanted: Bool { deposit.receiptWanted }
  public var bytes: [UInt8] { deposit.bytes }
}
