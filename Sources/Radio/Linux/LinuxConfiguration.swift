import CNetlink
import IEEE802154

/// Makes a Linux interface what ``RadioSettings`` say, through nl802154 and rtnetlink.
struct LinuxConfiguration {
  let interface: LinuxInterface
  let radio: String

  /// The kernel takes most settings only while the interface is down; it is up afterwards.
  func apply(_ settings: RadioSettings) throws(RadioError) {
    do throws(NetlinkError) {
      let route = try NetlinkSocket()
      let wpan = try NetlinkSocket(genericFamily: "nl802154")
      if interface.isUp { try route.setLink(interface.index, isUp: false) }
      if interface.kind == .station {
        if interface.address != settings.extendedAddress, settings.extendedAddress != .init(0) {
          try route.setLink(interface.index, isUp: false, address: settings.extendedAddress)
        }
        try wpan.command(
          PANGATE_NL802154_SET_PAN_ID, interface: interface.index,
          [.u16LE(Int32(PANGATE_NL802154_ATTR_PAN_ID.rawValue), settings.panID.value)])
        // There is no way to take a short address away: the kernel refuses the values that stand for none.
        if let short = settings.shortAddress {
          try wpan.command(
            PANGATE_NL802154_SET_SHORT_ADDR, interface: interface.index,
            [.u16LE(Int32(PANGATE_NL802154_ATTR_SHORT_ADDR.rawValue), short.value)])
        }
        try wpan.command(
          PANGATE_NL802154_SET_ACKREQ_DEFAULT, interface: interface.index,
          [.u8(Int32(PANGATE_NL802154_ATTR_ACKREQ_DEFAULT.rawValue), 1)])
      }
      try setChannel(settings, wpan)
      if let power = settings.transmitPower { try setPower(power, wpan) }
      try route.setLink(interface.index, isUp: true)
    } catch {
      throw self.error(error)
    }
  }

  private func setChannel(_ settings: RadioSettings, _ wpan: NetlinkSocket) throws(NetlinkError) {
    try wpan.command(
      PANGATE_NL802154_SET_CHANNEL, interface: interface.index,
      [
        .u8(Int32(PANGATE_NL802154_ATTR_PAGE.rawValue), settings.page),
        .u8(Int32(PANGATE_NL802154_ATTR_CHANNEL.rawValue), settings.channel),
      ])
  }

  private func setPower(_ power: Int8, _ wpan: NetlinkSocket) throws(NetlinkError) {
    // In hundredths of a dBm.
    try wpan.command(
      PANGATE_NL802154_SET_TX_POWER, interface: interface.index,
      [.s32(Int32(PANGATE_NL802154_ATTR_TX_POWER.rawValue), Int32(power) * 100)])
  }

  private func error(_ error: NetlinkError) -> RadioError {
    if error.isPermission { return Self.permission(radio) }
    switch error.code {
    case NLE_NODEV, NLE_OBJ_NOTFOUND:
      return RadioError(.gone, radio: radio, detail: "the interface is gone, or the kernel has no nl802154")
    case NLE_INVAL, NLE_RANGE, NLE_OPNOTSUPP:
      return RadioError(
        .settingRefused, radio: radio, detail: "the kernel refuses a setting: \(error)",
        remedy: "check radio.channel, radio.page and radio.power against 'iwpan phy', which lists what the radio can do"
      )
    case NLE_BUSY:
      return RadioError(
        .inUse, radio: radio, detail: "the interface is busy",
        remedy: "take lowpan interfaces on top of it down: the gateway needs the wpan interface for itself")
    default: return RadioError(.failed, radio: radio, detail: "cannot configure the interface: \(error)")
    }
  }

  static func permission(_ radio: String) -> RadioError {
    RadioError(
      .noPermission, radio: radio, detail: "a wpan interface needs CAP_NET_RAW and CAP_NET_ADMIN",
      remedy:
        "run as root, or in the service file: AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN")
  }

  static func error(_ error: LinuxError, _ radio: String) -> RadioError {
    switch error.code {
    case EPERM, EACCES: permission(radio)
    case ENODEV, ENXIO: RadioError(.gone, radio: radio, detail: "the interface is gone")
    default: RadioError(.failed, radio: radio, detail: "cannot open a packet socket: \(error)")
    }
  }
}
