import IEEE802154
import Wire

/// An IEEE 802.15.4 frame inside a capture record or datagram, as a view.
@frozen
public struct FrameView: ~Escapable {
  @usableFromInline let _psdu: RawSpan
  public let metadata: FrameMetadata

  /// The frame, with the FCS if the metadata says so.
  @inlinable public var psdu: RawSpan {
    @_lifetime(copy self) get { _psdu }
  }

  @inlinable
  @_lifetime(copy psdu)
  public init(psdu: RawSpan, metadata: FrameMetadata) {
    self._psdu = psdu
    self.metadata = metadata
  }

  /// A copy that owns its bytes.
  public var owned: CapturedFrame { CapturedFrame(bytes: psdu.array(), metadata: metadata) }
}

/// Finds the IEEE 802.15.4 frame in what a capture file or a socket delivers.
public enum CaptureDecapsulator {
  /// The frame in `bytes`, a record of link type `linkType`; `nil` if it is something else, for example other traffic
  /// on an Ethernet, or a ZEP message that is not a frame.
  ///
  /// Throws a ``ParseError`` for an encapsulation that is broken: ``DropReason/tapMalformed``,
  /// ``DropReason/zepMalformed``, ``DropReason/truncated`` and ``DropReason/lengthMismatch`` for the non-ASK PHY header,
  /// ``DropReason/macFCSMismatch`` where the encapsulation says that the check failed or has its own, and
  /// ``DropReason/captureLinkTypeUnknown``.
  @inlinable
  @_lifetime(copy bytes)
  public static func frame(
    _ linkType: LinkType, _ bytes: RawSpan, timestamp: Instant
  ) throws(ParseError) -> FrameView? {
    switch linkType {
    case .ieee802154WithoutFCS:
      return FrameView(psdu: bytes, metadata: FrameMetadata(timestamp: timestamp, fcsPresent: false))
    case .ieee802154WithFCS:
      return FrameView(psdu: bytes, metadata: FrameMetadata(timestamp: timestamp, fcsPresent: true))
    default: return try encapsulatedFrame(linkType, bytes, timestamp: timestamp)
    }
  }

  @usableFromInline
  @_lifetime(copy bytes)
  static func encapsulatedFrame(
    _ linkType: LinkType, _ bytes: RawSpan, timestamp: Instant
  ) throws(ParseError) -> FrameView? {
    var reader = ByteReader(bytes)
    switch linkType {
    case .ieee802154TAP: return try tapFrame(bytes, timestamp: timestamp)
    case .ieee802154NonASK: return try nonASKFrame(&reader, timestamp: timestamp)
    default:
      guard LinkType.supported.contains(linkType) else { throw ParseError(.captureLinkTypeUnknown) }
      // A packet too short or too odd to be UDP is not one of ours, and so no error.
      let found: Bool
      do throws(ParseError) { found = try OuterPacket.skipToUDP(linkType, &reader) } catch { found = false }
      guard found, let payload = OuterPacket.udpPayload(&reader, port: ZEPHeader.port) else { return nil }
      return try zepFrame(payload.bytes, offset: payload.offset, timestamp: timestamp)
    }
  }

  /// The frame behind a TAP header.
  @_lifetime(copy bytes)
  public static func tapFrame(_ bytes: RawSpan, timestamp: Instant) throws(ParseError) -> FrameView {
    var reader = ByteReader(bytes)
    let tap = try TAPHeader(parsing: &reader)
    let start = reader.offset
    var psdu = reader.takeRest()
    if tap.fcs == .crc32 {
      guard psdu.byteCount >= 4 else { throw ParseError(.truncated, at: start) }
      let check = psdu.extracting(last: 4)
      psdu = psdu.extracting(droppingLast: 4)
      var checkReader = ByteReader(check)
      guard try checkReader.u32LE() == CRC32.value(psdu) else {
        throw ParseError(.macFCSMismatch, at: start + psdu.byteCount)
      }
    }
    return FrameView(
      psdu: psdu,
      metadata: FrameMetadata(
        timestamp: timestamp, fcsPresent: tap.fcs == .crc16,
        rssi: tap.signalStrength.flatMap { $0 >= -128 && $0 <= 127 ? Int8($0.rounded()) : nil }, lqi: tap.lqi,
        channel: tap.channel.flatMap { $0.page == 0 ? UInt8(exactly: $0.number) : nil }))
  }

  /// The frame behind the header of a non-ASK PHY (IEEE 802.15.4-2020, 12.1): four bytes of preamble, the start of frame
  /// delimiter, and the length with a reserved top bit. The preamble is not checked: receivers need not deliver it whole.
  @_lifetime(copy reader)
  @_lifetime(reader: copy reader)
  static func nonASKFrame(_ reader: inout ByteReader, timestamp: Instant) throws(ParseError) -> FrameView {
    try reader.skip(4)
    let wrongDelimiter = reader.error(.reservedValue)
    guard try reader.u8() == 0xa7 else { throw wrongDelimiter }
    let wrongLength = reader.error(.lengthMismatch)
    let length = Int(try reader.u8() & 0x7f)
    let psdu = try reader.bytes(length)
    guard reader.isAtEnd else { throw wrongLength }
    return FrameView(psdu: psdu, metadata: FrameMetadata(timestamp: timestamp, fcsPresent: true))
  }

  /// The frame in `payload`, the payload of a UDP datagram from or to ``ZEPHeader/port``; `nil` for a ZEP acknowledgment or
  /// greeting. `offset` is where the payload stands in a larger input, for error positions.
  ///
  /// Throws ``DropReason/zepMalformed``, and ``DropReason/macFCSMismatch`` if the receiver found the FCS wrong.
  @_lifetime(copy payload)
  public static func zepFrame(
    _ payload: RawSpan, offset: Int = 0, timestamp: Instant
  ) throws(ParseError) -> FrameView? {
    var reader = ByteReader(payload, offset: offset)
    guard let reception = try ZEPHeader(parsing: &reader).reception else { return nil }
    let wrongLength = reader.error(.zepMalformed)
    guard reader.remaining == Int(reception.length) else { throw wrongLength }
    var metadata = FrameMetadata(
      timestamp: timestamp, fcsPresent: true, lqi: reception.lqi, channel: reception.channel)
    guard reception.trailer == .chipStatus else {
      return FrameView(psdu: reader.takeRest(), metadata: metadata)
    }
    guard reader.remaining >= 2 else { throw wrongLength }
    let psdu = try reader.bytes(reader.remaining - 2)
    let status = ChipStatus(try reader.u16LE())
    guard status.fcsWasRight else { throw reader.error(.macFCSMismatch) }
    metadata.fcsPresent = false
    return FrameView(psdu: psdu, metadata: metadata)
  }
}

/// What a CC24xx radio writes in the place of the FCS: the signal strength in units and with an offset of the chip, the
/// correlation, and whether the FCS was right.
private struct ChipStatus {
  var fcsWasRight: Bool

  init(_ word: UInt16) { fcsWasRight = word & 0x8000 != 0 }
}
