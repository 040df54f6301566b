import NIOCore
import NIOPosix

/// The drivers that there are.
public enum RadioDrivers {
  /// The driver for a radio, closed. `recordingSpeed` matters for a recording only.
  public static func make(
    _ url: RadioURL, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    recordingSpeed: PcapDriver.Speed = .real
  ) -> any RadioDriver {
    switch url.target {
    case .linux(let interface): LinuxDriver(url, interface: interface, group: group)
    case .zep(let host, let port): ZEPDriver(url, host: host, port: port, group: group)
    case .zepPeer(let host, let port): ZEPDriver(url, peer: (host, port), group: group)
    case .pcap(let path): PcapDriver(url, path: path, speed: recordingSpeed)
    case .serial, .command: SpinelDriver(url: url, group: group)
    }
  }
}
