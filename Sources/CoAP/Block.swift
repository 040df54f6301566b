/// The value of a Block1 or Block2 option (RFC 7959, 2.2): which block of a body, whether more follow, and its size.
public struct CoAPBlock: Hashable, Sendable, CustomStringConvertible {
  /// The number of the block, counted in blocks of ``size``: 0 to 2^20 - 1.
  public var number: Int
  /// More blocks follow. Without meaning in a request's Block2.
  public var more: Bool
  /// The size exponent, 0 to 6. 7 is reserved over UDP and may only be read, to be refused; over reliable transports it
  /// stands for any number of blocks of 1,024 bytes in one message (BERT, RFC 8323, 6).
  public var szx: UInt8

  /// Numbers and exponents are cut to their 20 and 3 bits.
  public init(number: Int, more: Bool, szx: UInt8) {
    self.number = number & 0xf_ffff
    self.more = more
    self.szx = szx & 7
  }

  /// Reads the value of an option; `nil` for more than 24 bits.
  public init?(optionValue value: UInt64) {
    guard value <= 0xff_ffff else { return nil }
    self.init(number: Int(value >> 4), more: value & 8 != 0, szx: UInt8(value & 7))
  }

  public var optionValue: UInt64 { UInt64(number & 0xf_ffff) << 4 | (more ? 8 : 0) | UInt64(szx & 7) }

  /// Bytes of a block, in which ``number`` counts: 16 to 1,024, and 1,024 for the exponent 7 as well.
  public var size: Int { 16 << Int(min(szx & 7, 6)) }
  /// Where the block starts in the body, in bytes.
  public var offset: Int { number &* size }
  /// Whether the exponent is 7: reserved over UDP, BERT over reliable transports.
  public var isReserved: Bool { szx == 7 }

  /// Whether a message with this block may hold `count` bytes of the body: a block that announces more must be full, and none
  /// is over its size (RFC 7959, 2.3; RFC 8323, 6).
  func admits(_ count: Int) -> Bool {
    if szx == 7 { return !more || count > 0 && count % 1024 == 0 }
    return more ? count == size : count <= size
  }

  /// As the RFCs write it: `2/0/128`, or `2/0/BERT`.
  public var description: String { "\(number)/\(more ? 1 : 0)/\(szx == 7 ? "BERT" : "\(size)")" }

  /// The largest exponent whose blocks are not over `bytes`; 0 if even 16 are.
  public static func szx(forBytes bytes: Int) -> UInt8 {
    var szx: UInt8 = 0
    while szx < 6, 32 << Int(szx) <= bytes { szx += 1 }
    return szx
  }
}
