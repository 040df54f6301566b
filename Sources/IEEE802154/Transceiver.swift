// What a radio is, seen from above: shared by the drivers, the MAC engine and simulations.

/// What a radio does by itself.
@frozen
public struct RadioCapabilities: OptionSet, Sendable, Hashable {
  public var rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Acknowledges frames that ask for it.
  public static let acknowledges = RadioCapabilities(rawValue: 1)
  /// Sends a frame again when its acknowledgment does not come.
  public static let retransmits = RadioCapabilities(rawValue: 2)
  /// Tells whether a frame was acknowledged. Without it, ``TransmitOutcome/sent`` is all that is known.
  public static let reportsAcknowledgment = RadioCapabilities(rawValue: 4)
  /// Sets frame pending in acknowledgments for the devices of ``SourceMatch``, and for no others.
  public static let sourceMatch = RadioCapabilities(rawValue: 8)
  /// Secures frames itself, counter included.
  public static let secures = RadioCapabilities(rawValue: 16)
  /// Cannot send.
  public static let listensOnly = RadioCapabilities(rawValue: 32)
  /// Can receive what is not for it.
  public static let promiscuous = RadioCapabilities(rawValue: 64)

  /// The names of what is set, in the order of the bits.
  public var names: [String] {
    let all: [(RadioCapabilities, String)] = [
      (.acknowledges, "acknowledges"), (.retransmits, "retransmits"),
      (.reportsAcknowledgment, "reports acknowledgment"), (.sourceMatch, "source match"), (.secures, "secures"),
      (.listensOnly, "listens only"), (.promiscuous, "promiscuous"),
    ]
    return all.filter { contains($0.0) }.map(\.1)
  }
}

/// What became of a frame that was to be sent.
@frozen
public enum TransmitOutcome: Sendable, Hashable {
  /// Acknowledged. `framePending`: the receiver has something for us.
  case acknowledged(framePending: Bool)
  /// On the air, and no acknowledgment was asked for, or the radio cannot tell.
  case sent
  /// No acknowledgment came, after all retransmissions.
  case noAcknowledgment
  /// The channel was busy all the time (CSMA-CA failed).
  case channelAccessFailure
  /// The radio did not take it.
  case failed

  /// Whether, as far as is known, the frame has arrived.
  @inlinable public var isSuccess: Bool {
    switch self {
    case .acknowledged, .sent: true
    case .noAcknowledgment, .channelAccessFailure, .failed: false
    }
  }
}

/// The devices for which frames wait: the radio sets frame pending when it acknowledges them
/// (IEEE 802.15.4-2020, 6.7.3).
public struct SourceMatch: Sendable, Hashable {
  public var short: Set<ShortAddress> = []
  public var extended: Set<ExtendedAddress> = []

  public init(short: Set<ShortAddress> = [], extended: Set<ExtendedAddress> = []) {
    self.short = short
    self.extended = extended
  }

  public var isEmpty: Bool { short.isEmpty && extended.isEmpty }

  /// Whether something waits for the device with this address.
  public func contains(_ address: MACAddress) -> Bool {
    switch address {
    case .absent: false
    case .short(let address): short.contains(address)
    case .extended(let address): extended.contains(address)
    }
  }
}

/// What a radio is told to be.
public struct RadioSettings: Sendable, Hashable {
  /// Channel number: 11 to 26 on page 0 at 2.4 GHz, 0 to 10 below 1 GHz.
  public var channel: UInt8
  /// Channel page (IEEE 802.15.4-2020, 10.1.3).
  public var page: UInt8 = 0
  public var panID: PANIdentifier
  /// 0 for the one that the radio was made with.
  public var extendedAddress: ExtendedAddress
  public var shortAddress: ShortAddress?
  /// dBm; `nil` leaves what the radio has.
  public var transmitPower: Int8?
  /// Receive everything on the channel and acknowledge nothing.
  public var isPromiscuous = false

  public init(
    channel: UInt8, panID: PANIdentifier, extendedAddress: ExtendedAddress, shortAddress: ShortAddress? = nil
  ) {
    self.channel = channel
    self.panID = panID
    self.extendedAddress = extendedAddress
    self.shortAddress = shortAddress
  }
}
