import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// The layers that a ``FrameDecoder`` works through.
@frozen
public enum FrameLayer: String, CaseIterable, Sendable, Hashable {
  case mac, lowpan, ipv6, udp, icmpv6, coap
}

/// Why a frame is no good, and which layer found out.
@frozen
public struct FrameFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public var layer: FrameLayer
  /// Its offset counts from the start of the frame for ``FrameLayer/mac`` and ``FrameLayer/lowpan``, of the IPv6 packet for
  /// the others.
  public var error: ParseError

  @inlinable
  public init(_ layer: FrameLayer, _ error: ParseError) {
    self.layer = layer
    self.error = error
  }

  @inlinable public var reason: DropReason { error.reason }
  public var description: String { "\(layer.rawValue): \(error)" }
}

/// The fixed parts of a CoAP message over UDP.
@frozen
public struct CoAPSummary: Hashable, Sendable {
  public var type: CoAPMessageType
  public var code: CoAPCode
  public var messageID: UInt16
  public var token: CoAPToken
  /// Bytes of the payload behind the options.
  public var payloadLength: Int

  @inlinable
  init(_ message: borrowing CoAPMessageView) {
    type = message.type
    code = message.code
    messageID = message.messageID
    token = message.token
    payloadLength = message.payload.byteCount
  }
}

/// What an IPv6 packet carries; its checksum was verified.
@frozen
public enum TransportSummary: Hashable, Sendable {
  case udp(UDPHeader)
  case coap(UDPHeader, CoAPSummary)
  case icmpv6(ICMPv6Header)
  /// An IPv6 fragment, which is not put together here.
  case fragment(FragmentHeader)
  /// Not looked into: another protocol, or one behind a route that hides the destination its checksum covers.
  case other(NextHeader)
}

/// What became of a frame.
@frozen
public enum FrameOutcome: Hashable, Sendable {
  /// An acknowledgment, a beacon, or a data frame without payload: nothing beyond the MAC layer.
  case macOnly
  case command(MACCommand)
  /// A fragment was stored; its datagram is not complete.
  case fragment
  /// A packet is complete and right, see ``DecodedFrame/packet``.
  case packet(TransportSummary)
  case failure(FrameFailure)
}

/// What a ``FrameDecoder`` made of a frame, as a view that ends with the next one.
@frozen
public struct DecodedFrame: ~Escapable {
  /// `nil` if the frame has none that can be read.
  public var header: MACHeader?
  public var outcome: FrameOutcome
  /// The addresses that count for 6LoWPAN: the mesh header's, else the MAC header's.
  public var link: LowpanLink
  /// The header of ``packet``.
  public var ip: IPv6Header?
  /// Where the upper layer begins, bytes from the start of ``packet``; behind the UDP header for UDP and CoAP.
  public var payloadOffset: Int
  @usableFromInline var _packet: RawSpan

  /// The IPv6 packet that the frame completed, right or not; empty if it completed none.
  @inlinable public var packet: RawSpan {
    @_lifetime(copy self) get { _packet }
  }

  /// The data of a UDP datagram, the CoAP message, the ICMPv6 message, or whatever the upper layer is.
  @inlinable public var payload: RawSpan {
    @_lifetime(copy self) get { _packet.extracting(droppingFirst: min(payloadOffset, _packet.byteCount)) }
  }

  /// Why the frame is to be dropped; `nil` if it is good.
  @inlinable public var failure: FrameFailure? {
    if case .failure(let failure) = outcome { return failure }
    return nil
  }

  @inlinable
  @_lifetime(copy packet)
  init(packet: RawSpan) {
    header = nil
    outcome = .macOnly
    link = LowpanLink(source: .absent, destination: .absent)
    ip = nil
    payloadOffset = 0
    _packet = packet
  }
}
