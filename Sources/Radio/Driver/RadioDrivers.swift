import NIOCore
import NIOPosix

/// The drivers that there are.
public enum RadioDrivers {
  /// The driver for a radio, closed. `recordingSpeed` matters for a recording only.
  ///
  /// Throws a ``RadioError`` of the kind ``RadioError/Kind/notSupported`` for a radio that no driver is for.
  public static func make(
    _ url: RadioURL, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    recordingSpeed: PcapDriver.Speed = .real
  ) throws(RadioError) -> any RadioDriver {
    switch url.target {
    case .linux(let interface): LinuxDriver(url, interface: interface, group: group)
    case .zep(let host, let port): ZEPDriver(url, host: host, port: port, group: group)
    case .pcap(let path): PcapDriver(url, path: path, speed: recordingSpeed)
    case .serial, .command:
      throw RadioError(.notSupported, radio: url.description, detail: "there is no driver for this kind of radio yet")
    }
  }
}
