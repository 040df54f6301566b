import IEEE802154
import IPv6
import Wire

/// Packets that came from short addresses whose EUI-64 is not known yet, held while it is asked for.
///
/// Bounded: one for each short address, and so many in all; what is beyond is looked at as it is, from nobody known.
struct UnidentifiedPackets: Sendable {
  struct Packet: Sendable {
    var bytes: [UInt8]
    var source: IPv6Address
    var radio: MACAddress
    var deadline: Instant
  }

  static let capacity = 32
  /// How long the answer may take.
  static let patience = Duration.seconds(2)

  private var packets: [MACAddress: Packet] = [:]

  var nextDeadline: Instant? { packets.values.map(\.deadline).min() }

  /// Holds a packet. False if there is no room, or one of this radio is held.
  mutating func hold(_ packet: Packet) -> Bool {
    guard packets.count < Self.capacity, packets[packet.radio] == nil else { return false }
    packets[packet.radio] = packet
    return true
  }

  /// The packet of a radio that is known now.
  mutating func take(_ radio: MACAddress) -> Packet? { packets.removeValue(forKey: radio) }

  /// Those for which no answer came.
  mutating func expire(now: Instant) -> [Packet] {
    let over = packets.values.filter { $0.deadline <= now }.sorted {
      ($0.deadline, $0.source) < ($1.deadline, $1.source)
    }
    for packet in over { packets[packet.radio] = nil }
    return over
  }
}
