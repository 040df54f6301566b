import Wire

/// The superframe specification of a beacon (IEEE 802.15.4-2020, 7.3.1.4).
@frozen
public struct SuperframeSpecification: Hashable, Sendable {
  public var rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Of a PAN without periodic beacons: both orders 15.
  @inlinable
  public static func nonBeacon(isCoordinator: Bool, permitsAssociation: Bool) -> SuperframeSpecification {
    SuperframeSpecification(
      rawValue: 0x0fff | (isCoordinator ? 0x4000 : 0) | (permitsAssociation ? 0x8000 : 0))
  }

  @inlinable public var beaconOrder: UInt8 { UInt8(rawValue & 0xf) }
  @inlinable public var superframeOrder: UInt8 { UInt8(rawValue >> 4 & 0xf) }
  @inlinable public var finalCAPSlot: UInt8 { UInt8(rawValue >> 8 & 0xf) }
  @inlinable public var hasBatteryLifeExtension: Bool { rawValue & 0x1000 != 0 }
  @inlinable public var isPANCoordinator: Bool { rawValue & 0x4000 != 0 }
  @inlinable public var permitsAssociation: Bool { rawValue & 0x8000 != 0 }
}

/// One guaranteed time slot as a beacon lists it (7.3.1.5).
@frozen
public struct GuaranteedTimeSlot: Hashable, Sendable {
  public var device: ShortAddress
  /// 0 to 15.
  public var start: UInt8
  /// Slots, 0 to 15.
  public var length: UInt8

  @inlinable
  public init(device: ShortAddress, start: UInt8, length: UInt8) {
    self.device = device
    self.start = start
    self.length = length
  }
}

/// The payload of a beacon frame (7.3.1): what a device looks at before it joins, and for whom messages are held.
public struct Beacon: Hashable, Sendable, WireValue {
  public var superframe: SuperframeSpecification
  public var permitsGTS: Bool
  /// Bit n tells the direction of slot n; only of use with slots.
  public var gtsDirections: UInt8
  /// At most 7.
  public var slots: [GuaranteedTimeSlot]
  /// Devices for which a message is held; at most 7 of each kind.
  public var pendingShort: [ShortAddress]
  public var pendingExtended: [ExtendedAddress]
  /// What the layer above says.
  public var payload: [UInt8]

  public init(
    superframe: SuperframeSpecification, permitsGTS: Bool = false, gtsDirections: UInt8 = 0,
    slots: [GuaranteedTimeSlot] = [], pendingShort: [ShortAddress] = [],
    pendingExtended: [ExtendedAddress] = [],
    payload: [UInt8] = []
  ) {
    self.superframe = superframe
    self.permitsGTS = permitsGTS
    self.gtsDirections = gtsDirections
    self.slots = slots
    self.pendingShort = pendingShort
    self.pendingExtended = pendingExtended
    self.payload = payload
  }

  /// Reads all that is left.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    superframe = SuperframeSpecification(rawValue: try reader.u16LE())
    let gts = try reader.u8()
    permitsGTS = gts & 0x80 != 0
    gtsDirections = gts & 7 == 0 ? 0 : try reader.u8() & 0x7f
    slots = []
    for _ in 0..<(gts & 7) {
      let device = ShortAddress(try reader.u16LE())
      let place = try reader.u8()
      slots.append(GuaranteedTimeSlot(device: device, start: place & 0xf, length: place >> 4))
    }
    let pending = try reader.u8()
    pendingShort = []
    for _ in 0..<(pending & 7) { pendingShort.append(ShortAddress(try reader.u16LE())) }
    pendingExtended = []
    for _ in 0..<(pending >> 4 & 7) { pendingExtended.append(ExtendedAddress(try reader.u64LE())) }
    payload = reader.takeRest().array()
  }

  public var encodedLength: Int {
    4 + (slots.isEmpty ? 0 : 1 + 3 * slots.count) + 2 * pendingShort.count + 8 * pendingExtended.count
      + payload.count
  }

  /// Writes the payload. ``EmitError/notRepresentable`` for more than 7 of anything that is listed.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) {
    guard slots.count <= 7, pendingShort.count <= 7, pendingExtended.count <= 7,
      slots.allSatisfy({ $0.start <= 15 && $0.length <= 15 }), !slots.isEmpty || gtsDirections == 0,
      gtsDirections <= 0x7f
    else { throw .notRepresentable }
    try writer.u16LE(superframe.rawValue)
    try writer.u8(UInt8(slots.count) | (permitsGTS ? 0x80 : 0))
    if !slots.isEmpty { try writer.u8(gtsDirections) }
    for slot in slots {
      try writer.u16LE(slot.device.value)
      try writer.u8(slot.start | slot.length << 4)
    }
    try writer.u8(UInt8(pendingShort.count) | UInt8(pendingExtended.count) << 4)
    for address in pendingShort { try writer.u16LE(address.value) }
    for address in pendingExtended { try writer.u64LE(address.value) }
    try writer.bytes(payload)
  }
}
