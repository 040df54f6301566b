import SixLoWPAN

/// What a ``FrameDecoder`` does beside reading.
public struct FrameDecoderConfiguration: Hashable, Sendable {
  /// UDP ports, as source or destination, whose datagrams have to be CoAP messages.
  public var coapPorts: [UInt16]
  /// Take contexts from the router advertisements that pass (RFC 6775, 4.2). For watchers only: a border router has its
  /// own, and whoever can send an advertisement could change them.
  public var learnsContexts: Bool
  /// Take pairs of short address and EUI-64 from neighbour discovery and association: see ``AddressTable``.
  public var learnsAddresses: Bool
  public var reassembly: ReassemblyLimits

  public init(
    coapPorts: [UInt16] = [5683], learnsContexts: Bool = true, learnsAddresses: Bool = true,
    reassembly: ReassemblyLimits = ReassemblyLimits()
  ) {
    self.coapPorts = coapPorts
    self.learnsContexts = learnsContexts
    self.learnsAddresses = learnsAddresses
    self.reassembly = reassembly
  }
}
