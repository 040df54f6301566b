import BorderRouter
import CoAP
import Envelope
import IEEE802154
import IPv6
import Wire

/// What happened to a ``NodeStack``.
public enum NodeEvent: Sendable {
  /// The coordinator took the node in; its short address, if it got one.
  case associated(ShortAddress?)
  /// The coordinator did not: the status of its response (IEEE 802.15.4-2020, table 7-51). The node asks again later.
  case associationRefused(UInt8)
  /// A router advertised itself; its link-local address.
  case router(IPv6Address)
  /// The router registered a global address, or did so anew.
  case registered(IPv6Address, until: Instant)
  /// The router did not. ``RegistrationStatus/duplicateAddress``: the address is another's and was given up.
  /// ``RegistrationStatus/neighborCacheFull``: the node tries again later.
  case registrationRefused(IPv6Address, RegistrationStatus)
  /// A complete request, to be answered by ``NodeStack/respond(to:with:now:)``.
  case request(ExchangeID<PANPeer>, CoAPRequest)
  /// A request made by ``NodeStack/request(_:to:now:)`` was answered.
  case response(RequestID<PANPeer>, CoAPResponse)
  /// A request made by ``NodeStack/request(_:to:now:)`` will not be answered.
  case failed(RequestID<PANPeer>, RequestFailure)
  /// The gateway gave the key of its radio network, which is to be used from now on.
  case linkKey(Envelope.LinkKey)
  /// A frame, packet or message was dropped.
  case dropped(DropReason)
}
