import NIOCore

/// The drivers that there are.
public enum RadioDrivers {
  /// The driver for a radio, closed. Throws a ``RadioError`` for a radio that no driver is for.
  public static func make(_ url: RadioURL, group: any EventLoopGroup) throws(RadioError) -> any RadioDriver {
    switch url.target {
    case .linux(let interface): LinuxDriver(url, interface: interface, group: group)
    case .zep(let host, let port): ZEPDriver(url, host: host, port: port, group: group)
    case .serial, .command, .pcap:
      throw RadioError(.notSupported, radio: url.description, detail: "no driver for this kind yet")
    }
  }
}
