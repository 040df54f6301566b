import Wire

extension CoAPCode {
  /// Class 7: a signal, which only reliable transports carry (RFC 8323, 5.1).
  @inlinable public var isSignal: Bool { rawValue >> 5 == 7 }

  // Signals (RFC 8323, 11.1).
  /// CSM: capabilities and settings.
  @inlinable public static var csm: Self { Self(class: 7, detail: 1) }
  @inlinable public static var ping: Self { Self(class: 7, detail: 2) }
  @inlinable public static var pong: Self { Self(class: 7, detail: 3) }
  @inlinable public static var release: Self { Self(class: 7, detail: 4) }
  @inlinable public static var abort: Self { Self(class: 7, detail: 5) }
}

/// What one end of a connection can take, as its CSMs say so far (RFC 8323, 5.3).
public struct CoAPCapabilities: Hashable, Sendable {
  /// Max-Message-Size: bytes of the largest message that it takes, from the first byte of the header to the last of the
  /// payload.
  public var maximumMessageSize: UInt32
  /// Block-Wise-Transfer: it knows RFC 7959.
  public var supportsBlockwise: Bool

  /// The base values, which hold before the first CSM.
  public init(maximumMessageSize: UInt32 = 1152, supportsBlockwise: Bool = false) {
    self.maximumMessageSize = maximumMessageSize
    self.supportsBlockwise = supportsBlockwise
  }

  /// Whether it takes blocks of several times 1,024 bytes (5.3.2 and 6).
  public var supportsBERT: Bool { supportsBlockwise && maximumMessageSize > 1152 }
}

/// A signal: what two ends of a connection tell each other about the connection itself (RFC 8323, 5).
public enum CoAPSignal: Hashable, Sendable {
  /// CSM. All of the sender's capabilities: those of this message and of earlier ones.
  case capabilities(CoAPCapabilities)
  /// `custody` asks that all messages before this one be processed before the answer.
  case ping(custody: Bool)
  /// `custody` says that all messages before the ping were processed.
  case pong(custody: Bool)
  /// The sender wants the receiver to close the connection, and to open one to one of `alternatives` (authorities as in a
  /// URI) or to the same address not before `holdOff` seconds.
  case release(alternatives: [String], holdOff: UInt32?)
  /// The sender cannot go on. `badOption` is the number of the CSM option that it could not process.
  case abort(badOption: UInt16?, diagnostic: String)

  /// Numbers of options; those of different signals have nothing in common (5.2).
  private static var first: CoAPOptionNumber { CoAPOptionNumber(rawValue: 2) }
  private static var second: CoAPOptionNumber { CoAPOptionNumber(rawValue: 4) }

  /// Reads a signal. `capabilities` are those of the sender so far, which a CSM changes.
  ///
  /// Throws ``DropReason/coapOptionUnknownCritical`` for a critical option, as none is known (5.2);
  /// ``DropReason/coapOptionLengthInvalid`` for a CSM option of a wrong length (5.6); and ``DropReason/coapSignalUnknown``
  /// for any other code, which is to be ignored. Elective options that are unknown, of a wrong length or repeated are left
  /// out.
  public init(
    parsing message: CoAPStreamMessage, after capabilities: CoAPCapabilities = CoAPCapabilities()
  ) throws(ParseError) {
    do { try self.init(message, after: capabilities) } catch { throw ParseError(error.reason) }
  }

  /// Throws what ``init(parsing:after:)`` throws, with the option's number; 0 for a code that is unknown.
  init(_ message: CoAPStreamMessage, after capabilities: CoAPCapabilities) throws(OptionRefusal) {
    let options = message.options
    if let critical = options.first(where: { $0.number.isCritical }) {
      throw OptionRefusal(reason: .coapOptionUnknownCritical, number: critical.number)
    }
    switch message.code {
    case .csm: self = .capabilities(try Self.capabilities(options, after: capabilities))
    case .ping: self = .ping(custody: options[value: Self.first]?.isEmpty == true)
    case .pong: self = .pong(custody: options[value: Self.first]?.isEmpty == true)
    case .release:
      let alternatives = options[values: Self.first].filter { 1...255 ~= $0.count }
      let holdOff = options[value: Self.second].map { CoAPOption(Self.second, $0) }
      self = .release(
        alternatives: alternatives.compactMap { String(validating: $0, as: UTF8.self) },
        holdOff: holdOff.flatMap { $0.value.count <= 3 ? $0.uint.map(UInt32.init) : nil })
    case .abort:
      self = .abort(
        badOption: options[uint: Self.first].flatMap(UInt16.init(exactly:)),
        diagnostic: String(decoding: message.payload, as: UTF8.self))
    default: throw OptionRefusal(reason: .coapSignalUnknown, number: CoAPOptionNumber(rawValue: 0))
    }
  }

  private static func capabilities(
    _ options: CoAPOptions, after capabilities: CoAPCapabilities
  ) throws(OptionRefusal) -> CoAPCapabilities {
    var capabilities = capabilities
    if let value = options[value: first] {
      guard value.count <= 4, let size = CoAPOption(first, value).uint else {
        throw OptionRefusal(reason: .coapOptionLengthInvalid, number: first)
      }
      capabilities.maximumMessageSize = UInt32(size)
    }
    if let value = options[value: second] {
      guard value.isEmpty else { throw OptionRefusal(reason: .coapOptionLengthInvalid, number: second) }
      capabilities.supportsBlockwise = true
    }
    return capabilities
  }

  /// The signal as a message. Alternatives that are empty or over 255 bytes are left out, and ``holdOff`` is cut to 24 bits.
  public func message(token: CoAPToken = CoAPToken()) -> CoAPStreamMessage {
    var message = CoAPStreamMessage(code: code, token: token)
    switch self {
    case .capabilities(let capabilities):
      message.options[uint: Self.first] = UInt64(capabilities.maximumMessageSize)
      if capabilities.supportsBlockwise { message.options[value: Self.second] = [] }
    case .ping(let custody), .pong(let custody): if custody { message.options[value: Self.first] = [] }
    case .release(let alternatives, let holdOff):
      message.options[strings: Self.first] = alternatives.filter { 1...255 ~= $0.utf8.count }
      message.options[uint: Self.second] = holdOff.map { UInt64(min($0, 0xff_ffff)) }
    case .abort(let badOption, let diagnostic):
      message.options[uint: Self.first] = badOption.map(UInt64.init)
      message.payload = Array(diagnostic.utf8)
    }
    return message
  }

  public var code: CoAPCode {
    switch self {
    case .capabilities: .csm
    case .ping: .ping
    case .pong: .pong
    case .release: .release
    case .abort: .abort
    }
  }
}
