import IEEE802154
import Testing
import Wire

/// A radio with a clock and what it did.
struct Station {
  static let pan = PANIdentifier(0xabcd)
  static let extended = ExtendedAddress(0x0212_4b00_0000_0003)
  static let short = ShortAddress(0x0b02)
  static let peer = MACAddress.extended(ExtendedAddress(0x0212_4b00_0000_0009))

  static func settings() -> RadioSettings {
    RadioSettings(channel: 15, panID: pan, extendedAddress: extended, shortAddress: short)
  }

  var radio: SoftwareRadio
  var now = Instant(seconds: 1_000)

  init(_ settings: RadioSettings = Station.settings(), _ change: (inout SoftwareRadioConfiguration) -> Void = { _ in })
  {
    var configuration = SoftwareRadioConfiguration()
    change(&configuration)
    radio = SoftwareRadio(settings: settings, configuration: configuration)
  }

  mutating func receive(_ bytes: [UInt8], withFCS: Bool = true) -> [SoftwareRadioAction] {
    radio.receive(bytes.rawSpan, metadata: FrameMetadata(timestamp: now, fcsPresent: withFCS, rssi: -60))
    return radio.takeActions()
  }

  mutating func receive(_ header: MACHeader, payload: [UInt8] = [1, 2, 3]) throws -> [SoftwareRadioAction] {
    receive(try MACFrame(header: header, payload: payload).encoded(withFCS: true))
  }

  mutating func transmit(_ psdu: [UInt8]) -> (isTaken: Bool, actions: [SoftwareRadioAction]) {
    (radio.transmit(psdu, now: now), radio.takeActions())
  }

  /// Goes to the next deadline.
  mutating func timeout() throws -> [SoftwareRadioAction] {
    now = try #require(radio.nextTimeout)
    radio.timeout(at: now)
    return radio.takeActions()
  }

  /// A data frame of the peer to this station.
  static func data(
    _ version: FrameVersion = .v2006, sequenceNumber: UInt8? = 7, to destination: MACAddress = .short(short),
    in pan: PANIdentifier = pan, from source: MACAddress = peer, acknowledgmentRequested: Bool = true
  ) -> MACHeader {
    // Between two extended addresses, the 2015 edition has one identifier uncompressed, as the others have it compressed.
    let isUncompressed = version == .v2015 && destination.mode == .extended && source.mode == .extended
    return MACHeader(
      type: .data, version: version, sequenceNumber: sequenceNumber, destinationPAN: pan, destination: destination,
      source: source, acknowledgmentRequested: acknowledgmentRequested, panIdentifierCompressed: !isUncompressed)
  }

  /// A data frame of this station to the peer, without FCS.
  static func outgoing(
    _ version: FrameVersion = .v2006, sequenceNumber: UInt8? = 42, to destination: MACAddress = .short(ShortAddress(9)),
    acknowledgmentRequested: Bool = true
  ) throws -> (header: MACHeader, psdu: [UInt8]) {
    let header = MACHeader(
      type: .data, version: version, sequenceNumber: sequenceNumber, destinationPAN: pan, destination: destination,
      source: .extended(extended), acknowledgmentRequested: acknowledgmentRequested, panIdentifierCompressed: true)
    return (header, try MACFrame(header: header, payload: [9, 9]).encoded(withFCS: false))
  }
}

extension [SoftwareRadioAction] {
  /// PSDUs put on the medium.
  var sent: [[UInt8]] {
    compactMap { if case .send(let psdu) = $0 { psdu } else { nil } }
  }
  var delivered: [CapturedFrame] {
    compactMap { if case .deliver(let frame) = $0 { frame } else { nil } }
  }
  var drops: [DropReason] {
    compactMap { if case .dropped(let reason) = $0 { reason } else { nil } }
  }
  var outcomes: [TransmitOutcome] {
    compactMap { if case .finished(let outcome) = $0 { outcome } else { nil } }
  }
  /// Headers of what was put on the medium.
  func sentHeaders() throws -> [MACHeader] {
    try sent.map { try MACFrameView($0.rawSpan, fcsPresent: true).header }
  }
}
