/// A model of USB dongle that has an IEEE 802.15.4 radio, or that such a radio is often built with.
struct RadioListDongle {
  var vendor: UInt16
  /// `nil` for all products of the vendor.
  var product: UInt16?
  /// Whether it may run radio co-processor firmware (spinel) as it is.
  var isUsable = true
  var what: String
  /// What radio co-processor firmware for it usually runs at, if that is not the default.
  var baud: Int?

  /// The first entry that fits.
  static func find(_ usb: RadioListEntry.USBIdentity) -> RadioListDongle? {
    all.first { $0.vendor == usb.vendor && ($0.product == nil || $0.product == usb.product) }
  }

  private static let all: [RadioListDongle] = [
    RadioListDongle(
      vendor: 0x1915, product: 0x521f, isUsable: false,
      what: "Nordic nRF52840 dongle in its bootloader: put radio co-processor firmware on it"),
    RadioListDongle(vendor: 0x1915, product: nil, what: "Nordic, as nRF52840 dongles and boards"),
    RadioListDongle(
      vendor: 0x10c4, product: 0xea60, what: "Silicon Labs CP210x serial bridge, as on EFR32 dongles",
      baud: 460_800),
    RadioListDongle(
      vendor: 0x1366, product: nil, what: "SEGGER J-Link, as on Nordic and Silicon Labs boards"),
    RadioListDongle(
      vendor: 0x0451, product: 0x16a8, isUsable: false,
      what: "Texas Instruments CC2531: its firmware speaks another protocol (ZNP)"),
    RadioListDongle(vendor: 0x0451, product: 0x16c8, what: "Texas Instruments CC2538"),
    RadioListDongle(
      vendor: 0x1cf1, product: 0x0030, isUsable: false,
      what: "dresden elektronik ConBee II: its firmware speaks another protocol (deCONZ)"),
  ]
}
