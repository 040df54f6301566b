import CoAP
import IEEE802154
import IPv6
import SixLoWPAN
import Wire

/// How far a frame has come: what ``DecodedFrame`` shows, without the views.
struct FrameProgress {
  var header: MACHeader?
  var outcome = FrameOutcome.macOnly
  var link = LowpanLink(source: .absent, destination: .absent)
  /// Bytes of the completed packet.
  var length = 0
  var ip: IPv6Header?
  var payloadOffset = 0

  /// Checks the IPv6 packet that `datagram` begins with, down to CoAP for these ports.
  mutating func readPacket(_ datagram: RawSpan, coapPorts: [UInt16]) throws(FrameFailure) {
    let payload: RawSpan
    let ip: IPv6Header
    do throws(ParseError) {
      let packet = try IPv6Packet(datagram)
      ip = packet.header
      self.ip = ip
      payload = packet.payload
      length = IPv6Header.length &+ payload.byteCount
      guard !ip.source.isMulticast else { throw ParseError(.ipv6SourceInvalid, at: 8) }
    } catch { throw FrameFailure(.ipv6, error) }
    payloadOffset = IPv6Header.length
    var next = ip.nextHeader
    var destination: IPv6Address? = ip.destination
    var upper = payload
    if next.isExtensionHeader {
      do throws(ParseError) {
        let layer = try UpperLayer(in: payload, startingWith: next)
        next = layer.protocol
        payloadOffset &+= layer.offset
        upper = payload.extracting(droppingFirst: layer.offset)
        if let fragment = layer.fragment, fragment.offset != 0 || fragment.moreFragments {
          outcome = .packet(.fragment(fragment))
          return
        }
        destination = try Self.finalDestination(of: ip, payload)
      } catch {
        throw FrameFailure(.ipv6, ParseError(error.reason, at: IPv6Header.length &+ Int(error.offset)))
      }
    }
    outcome = .packet(.other(next))
    guard let destination else { return }
    switch next {
    case .udp: try readUDP(upper, ip.source, destination, coapPorts)
    case .icmpv6:
      do throws(ParseError) {
        outcome = .packet(.icmpv6(try ICMPv6Message(upper, source: ip.source, destination: destination).header))
      } catch { throw FrameFailure(.icmpv6, ParseError(error.reason, at: payloadOffset &+ Int(error.offset))) }
    default: break
    }
  }

  private mutating func readUDP(
    _ bytes: RawSpan, _ source: IPv6Address, _ destination: IPv6Address, _ coapPorts: [UInt16]
  ) throws(FrameFailure) {
    let datagram: UDPDatagram
    do throws(ParseError) {
      datagram = try UDPDatagram(bytes, source: source, destination: destination)
    } catch { throw FrameFailure(.udp, ParseError(error.reason, at: payloadOffset &+ Int(error.offset))) }
    let header = datagram.header
    payloadOffset &+= UDPHeader.length
    guard coapPorts.contains(header.destinationPort) || coapPorts.contains(header.sourcePort) else {
      outcome = .packet(.udp(header))
      return
    }
    do throws(ParseError) {
      let message = try CoAPMessageView(datagram.payload, offset: payloadOffset)
      outcome = .packet(.coap(header, CoAPSummary(message)))
    } catch { throw FrameFailure(.coap, error) }
  }

  /// The destination that checksums cover (RFC 8200, 8.1): the last one of a routing header with segments left, else the
  /// header's; `nil` if the routing header is of a kind whose route cannot be read.
  private static func finalDestination(of ip: IPv6Header, _ payload: RawSpan) throws(ParseError) -> IPv6Address? {
    var reader = ByteReader(payload)
    var next = ip.nextHeader
    while next.isExtensionHeader, next != .fragment {
      if next == .routing {
        var ahead = reader
        let header = try RoutingHeader(parsing: &ahead)
        if header.segmentsLeft > 0 {
          guard header.type == .rplSourceRoute else { return nil }
          let route = try RPLSourceRoute(parsing: &reader)
          return route.address(ofSegment: route.segments.count - 1, destination: ip.destination)
        }
      }
      let kind = next
      next = NextHeader(rawValue: try reader.u8())
      let units = Int(try reader.u8())
      try reader.skip(kind == .authentication ? units &* 4 &+ 6 : units &* 8 &+ 6)
    }
    return ip.destination
  }
}

extension ICMPv6Type {
  /// Whether ``NeighborDiscoveryPacket`` knows it.
  var isNeighborDiscovery: Bool {
    switch rawValue {
    case 133...137, 157, 158: true
    default: false
    }
  }
}
