import CoAP
import IEEE802154
import IPv6
import Wire

/// Where a CoAP message came from, and the address of ours that it came to.
public struct PANPeer: Hashable, Sendable {
  public var address: IPv6Address
  public var port: UInt16
  /// The border router's address that the peer talks to: answers come from it.
  public var local: IPv6Address

  public init(address: IPv6Address, port: UInt16, local: IPv6Address) {
    self.address = address
    self.port = port
    self.local = local
  }
}

/// What became of a frame.
public enum PANEvent: Sendable {
  /// A complete request, to be answered by ``PANStack/respond(to:with:now:)``.
  case request(ExchangeID<PANPeer>, PANRequest)
  /// A request made by ``PANStack/request(_:to:port:now:)`` was answered.
  case response(RequestID<PANPeer>, CoAPResponse)
  /// A request made by ``PANStack/request(_:to:port:now:)`` will not be answered.
  case failed(RequestID<PANPeer>, RequestFailure)
  /// A MAC command came. It was authentic if the header has security.
  case command(MACCommand, MACHeader)
  /// A good frame of the device with this EUI-64 came.
  case heard(ExtendedAddress, MACAddress, FrameMetadata)
  /// An address was registered, or registered anew (RFC 6775, 6.5); `nil` if its registration ended.
  case registration(IPv6Address, NeighborCache.Entry?)
  /// A frame, packet or message was dropped.
  case dropped(DropReason)
}

/// A request with what is known of its sender.
public struct PANRequest: Sendable {
  public var request: CoAPRequest
  public var peer: PANPeer
  /// The sender's EUI-64, if its frames or its neighbour discovery told it.
  public var extendedAddress: ExtendedAddress?
  /// The same for the same message sent again, and for no other: peer, message ID and token.
  public var fingerprint: [UInt8]
}
