/// Something on this machine that is, or may be, a radio.
public struct RadioListEntry: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable {
    /// A Linux 802.15.4 interface.
    case interface
    /// A Linux interface that only listens.
    case monitor
    /// A serial port on USB.
    case serial
    /// A known dongle on USB without a serial port.
    case usb
  }

  /// What a USB device says of itself. The texts are the device's own, whatever they hold.
  public struct USBIdentity: Hashable, Sendable {
    public var vendor: UInt16
    public var product: UInt16
    public var manufacturerName: String?
    public var productName: String?
    public var serial: String?

    public init(
      vendor: UInt16, product: UInt16, manufacturerName: String? = nil, productName: String? = nil,
      serial: String? = nil
    ) {
      self.vendor = vendor
      self.product = product
      self.manufacturerName = manufacturerName
      self.productName = productName
      self.serial = serial
    }

    /// As `lsusb` prints it: `1915:521f`.
    public var id: String { Self.hex(vendor) + ":" + Self.hex(product) }

    private static func hex(_ number: UInt16) -> String {
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: 4 - digits.count) + digits
    }
  }

  public var kind: Kind
  /// The interface, the device file, or the place on the bus: `wpan0`, `/dev/ttyACM0`, `1-2`.
  public var name: String
  /// What to write as the radio's URL; `nil` for what cannot be used as it is.
  public var url: String?
  /// `up`, `down`, `ready`, `no permission`.
  public var state: String?
  /// The EUI-64 of an interface.
  public var address: String?
  public var usb: USBIdentity?
  /// Whether it is an 802.15.4 radio, or the model of a known dongle.
  public var isKnown: Bool
  /// What it is or may be, and what stands in the way of using it.
  public var what: String

  public init(
    kind: Kind, name: String, url: String?, state: String? = nil, address: String? = nil, usb: USBIdentity? = nil,
    isKnown: Bool, what: String
  ) {
    self.kind = kind
    self.name = name
    self.url = url
    self.state = state
    self.address = address
    self.usb = usb
    self.isKnown = isKnown
    self.what = what
  }
}
