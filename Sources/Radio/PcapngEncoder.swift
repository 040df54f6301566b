import IEEE802154
import Wire

/// The bytes of a pcapng file of IEEE 802.15.4 frames with TAP headers (link type 283) from one radio.
///
/// The file is ``header()`` and then one ``record(_:_:channel:)`` for each frame; it is valid behind each of them.
public struct PcapngEncoder: Sendable {
  /// Of the time stamps in the file: the negative power of ten.
  public enum Resolution: UInt8, Sendable {
    case microseconds = 6
    case nanoseconds = 9
  }

  private let resolution: Resolution
  private let radio: String
  private let application: String

  /// `radio` becomes the name of the interface, `application` that of the program; both may be cut.
  public init(radio: String, application: String = "pangate", resolution: Resolution = .microseconds) {
    self.radio = radio
    self.application = application
    self.resolution = resolution
  }

  /// The section header and the description of the radio.
  public func header() throws(EmitError) -> [UInt8] {
    var interface = PcapngInterface(
      linkType: .ieee802154TAP, options: [PcapngOption(PcapngInterface.name, Self.text(radio))])
    interface.timeResolution = resolution.rawValue
    let section = PcapngSection(options: [PcapngOption(PcapngSection.application, Self.text(application))])
    return try PcapngBlock.section(section).encoded() + PcapngBlock.interface(interface).encoded()
  }

  private static func text(_ text: String) -> [UInt8] { Array(text.utf8.prefix(1000)) }

  /// A frame with its direction. `channel` is written if the frame's metadata has none.
  ///
  /// A frame without FCS is written without: the TAP header says so.
  public func record(
    _ frame: CapturedFrame, _ direction: PcapngPacket.Direction, channel: TAPHeader.Channel? = nil
  ) throws(EmitError) -> [UInt8] {
    let header = try TAPHeader(frame.metadata, channel: channel).encoded()
    var packet = PcapngPacket(timestamp: time(frame.metadata.timestamp), bytes: header + frame.bytes)
    packet.direction = direction
    return try PcapngBlock.packet(packet).encoded()
  }

  /// Times that the file cannot hold become the nearest that it can.
  private func time(_ timestamp: Instant) -> UInt64 {
    let microseconds = UInt64(clamping: timestamp.microseconds)
    guard resolution == .nanoseconds else { return microseconds }
    let (nanoseconds, overflow) = microseconds.multipliedReportingOverflow(by: 1000)
    return overflow ? .max : nanoseconds
  }
}

extension TAPHeader {
  /// What the metadata of a frame tells; `channel` if they tell none.
  public init(_ metadata: FrameMetadata, channel: Channel? = nil) {
    self.init(
      fcs: metadata.fcsPresent ? .crc16 : .none, signalStrength: metadata.rssi.map(Float.init),
      channel: metadata.channel.map { number in
        // The metadata have no page: it is the page of the radio if that is on this channel.
        Channel(number: UInt16(number), page: channel?.number == UInt16(number) ? channel?.page ?? 0 : 0)
      } ?? channel, lqi: metadata.lqi)
  }
}
