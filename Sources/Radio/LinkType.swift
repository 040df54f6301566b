/// The link type of a capture file: what the bytes of its records begin with (tcpdump.org, "Link-layer header types").
///
/// The values are those that libpcap hands out. They are the file's own, except for raw IP, which has several.
@frozen
public struct LinkType: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int32

  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

  /// BSD loopback: four bytes of address family in the order of the capturing machine, then IP.
  @inlinable public static var null: LinkType { LinkType(rawValue: 0) }
  @inlinable public static var ethernet: LinkType { LinkType(rawValue: 1) }
  /// Raw IP, version 4 or 6. Written to files as 101.
  @inlinable public static var rawIP: LinkType { LinkType(rawValue: 12) }
  /// Raw IP as OpenBSD numbers it.
  @inlinable public static var rawIPOpenBSD: LinkType { LinkType(rawValue: 14) }
  /// Raw IP as files number it.
  @inlinable public static var rawIPInFiles: LinkType { LinkType(rawValue: 101) }
  /// OpenBSD loopback: four bytes of address family in network order, then IP.
  @inlinable public static var loop: LinkType { LinkType(rawValue: 108) }
  /// Linux "cooked" capture.
  @inlinable public static var linuxCooked: LinkType { LinkType(rawValue: 113) }
  /// IEEE 802.15.4 frames with FCS.
  @inlinable public static var ieee802154WithFCS: LinkType { LinkType(rawValue: 195) }
  /// IEEE 802.15.4 with the non-ASK PHY header: preamble, start of frame delimiter and length, then the frame with FCS.
  @inlinable public static var ieee802154NonASK: LinkType { LinkType(rawValue: 215) }
  @inlinable public static var ipv4: LinkType { LinkType(rawValue: 228) }
  @inlinable public static var ipv6: LinkType { LinkType(rawValue: 229) }
  /// IEEE 802.15.4 frames without FCS.
  @inlinable public static var ieee802154WithoutFCS: LinkType { LinkType(rawValue: 230) }
  /// Linux "cooked" capture, version 2.
  @inlinable public static var linuxCooked2: LinkType { LinkType(rawValue: 276) }
  /// IEEE 802.15.4 behind a TAP header.
  @inlinable public static var ieee802154TAP: LinkType { LinkType(rawValue: 283) }

  /// All that ``CaptureDecapsulator`` reads.
  public static let supported: [LinkType] = [
    .ieee802154WithFCS, .ieee802154WithoutFCS, .ieee802154NonASK, .ieee802154TAP, .ethernet, .rawIP,
    .rawIPOpenBSD,
    .rawIPInFiles, .ipv4, .ipv6, .null, .loop, .linuxCooked, .linuxCooked2,
  ]
}
