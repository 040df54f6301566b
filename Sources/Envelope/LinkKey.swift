import COSE
import Wire

/// The key of a gateway's radio network (IEEE 802.15.4, 9.3), as its configuration in the peer record has it.
///
/// Whoever leaves the network knows it: the oracle then makes a new one, under the next index.
public struct LinkKey: Hashable, Sendable, CustomStringConvertible {
  /// The key index of frames that use it, 1 to 255.
  public var index: UInt8
  /// 16 bytes.
  public var key: [UInt8]

  /// Bytes of a key.
  public static let length = 16

  public init(index: UInt8, key: [UInt8]) {
    self.index = index
    self.key = key
  }

  /// The index of the key that follows this one.
  public var nextIndex: UInt8 { index == .max ? 1 : index + 1 }

  /// Never the key itself.
  public var description: String { "link key \(index)" }

  /// `nil` for anything but an array of index and key.
  public init?(_ value: CBORValue?) {
    guard case .array(let items) = value, items.count == 2,
      let index = items[0].unsignedValue.flatMap(UInt8.init(exactly:)), index > 0,
      let key = items[1].bytesValue, key.count == Self.length
    else { return nil }
    self.init(index: index, key: key)
  }

  public var value: CBORValue { .array([.unsigned(UInt64(index)), .bytes(key)]) }
}

extension Member {
  private static let linkKeyName = "link-key"

  /// Of a gateway: the key of its radio network, if it has one.
  public var linkKey: LinkKey? {
    get { LinkKey(configuration[Member.linkKeyName]) }
    set { configuration[Member.linkKeyName] = newValue?.value }
  }
}
