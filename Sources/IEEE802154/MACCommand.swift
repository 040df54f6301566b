import Wire

/// Identifiers of MAC commands (IEEE 802.15.4-2020, table 7-50).
@frozen
public enum MACCommandIdentifier: UInt8, CaseIterable, Sendable, Hashable {
  case associationRequest = 1
  case associationResponse = 2
  case disassociationNotification = 3
  case dataRequest = 4
  case panIdentifierConflict = 5
  case orphanNotification = 6
  case beaconRequest = 7
  case coordinatorRealignment = 8
  case gtsRequest = 9
}

/// What a device can do, as it says when it associates (7.5.2).
@frozen
public struct DeviceCapabilities: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let fullFunction = DeviceCapabilities(rawValue: 0x02)
  public static let mainsPowered = DeviceCapabilities(rawValue: 0x04)
  public static let receiverOnWhenIdle = DeviceCapabilities(rawValue: 0x08)
  public static let fastAssociation = DeviceCapabilities(rawValue: 0x10)
  public static let security = DeviceCapabilities(rawValue: 0x40)
  public static let allocateAddress = DeviceCapabilities(rawValue: 0x80)
}

/// A MAC command: identifier and content (7.5).
public enum MACCommand: Hashable, Sendable, WireValue {
  case associationRequest(DeviceCapabilities)
  /// `status`: 0 successful, 1 PAN at capacity, 2 access denied, 3 hopping sequence offset duplication, 0x80 fast
  /// association successful.
  case associationResponse(ShortAddress, status: UInt8)
  /// `reason`: 1 the coordinator wishes the device to leave, 2 the device wishes to leave.
  case disassociationNotification(reason: UInt8)
  case dataRequest
  case panIdentifierConflict
  case orphanNotification
  case beaconRequest
  /// The page is left out by senders that are on page 0.
  case coordinatorRealignment(
    pan: PANIdentifier, coordinator: ShortAddress, channel: UInt8, device: ShortAddress, page: UInt8?)
  /// The characteristics as they are: length in bits 0-3, direction bit 4, type bit 5.
  case gtsRequest(characteristics: UInt8)

  public var identifier: MACCommandIdentifier {
    switch self {
    case .associationRequest: .associationRequest
    case .associationResponse: .associationResponse
    case .disassociationNotification: .disassociationNotification
    case .dataRequest: .dataRequest
    case .panIdentifierConflict: .panIdentifierConflict
    case .orphanNotification: .orphanNotification
    case .beaconRequest: .beaconRequest
    case .coordinatorRealignment: .coordinatorRealignment
    case .gtsRequest: .gtsRequest
    }
  }

  /// Reads the payload of a command frame, behind any payload information elements.
  ///
  /// Throws ``DropReason/macCommandUnknown``. A data request may carry nothing; content behind a known command is left to the
  /// caller, since later editions add to some.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    let unknown = reader.error(.macCommandUnknown)
    guard let identifier = MACCommandIdentifier(rawValue: try reader.u8()) else { throw unknown }
    switch identifier {
    case .associationRequest: self = .associationRequest(DeviceCapabilities(rawValue: try reader.u8()))
    case .associationResponse:
      let address = ShortAddress(try reader.u16LE())
      self = .associationResponse(address, status: try reader.u8())
    case .disassociationNotification: self = .disassociationNotification(reason: try reader.u8())
    case .dataRequest: self = .dataRequest
    case .panIdentifierConflict: self = .panIdentifierConflict
    case .orphanNotification: self = .orphanNotification
    case .beaconRequest: self = .beaconRequest
    case .coordinatorRealignment:
      let pan = PANIdentifier(try reader.u16LE())
      let coordinator = ShortAddress(try reader.u16LE())
      let channel = try reader.u8()
      let device = ShortAddress(try reader.u16LE())
      let page = reader.isAtEnd ? nil : try reader.u8()
      self = .coordinatorRealignment(
        pan: pan, coordinator: coordinator, channel: channel, device: device, page: page)
    case .gtsRequest: self = .gtsRequest(characteristics: try reader.u8())
    }
  }

  public var encodedLength: Int {
    switch self {
    case .dataRequest, .panIdentifierConflict, .orphanNotification, .beaconRequest: 1
    case .associationRequest, .disassociationNotification, .gtsRequest: 2
    case .associationResponse: 4
    case .coordinatorRealignment(_, _, _, _, let page): page == nil ? 8 : 9
    }
  }

  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    try writer.u8(identifier.rawValue)
    switch self {
    case .associationRequest(let capabilities): try writer.u8(capabilities.rawValue)
    case .associationResponse(let address, let status):
      try writer.u16LE(address.value)
      try writer.u8(status)
    case .disassociationNotification(let reason): try writer.u8(reason)
    case .dataRequest, .panIdentifierConflict, .orphanNotification, .beaconRequest: break
    case .coordinatorRealignment(let pan, let coordinator, let channel, let device, let page):
      try writer.u16LE(pan.value)
      try writer.u16LE(coordinator.value)
      try writer.u8(channel)
      try writer.u16LE(device.value)
      if let page { try writer.u8(page) }
    case .gtsRequest(let characteristics): try writer.u8(characteristics)
    }
  }
}
