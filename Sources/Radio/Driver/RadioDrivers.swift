/// Which driver a radio has.
public enum RadioDrivers {
  /// A driver for `url`, not yet open. `recordingSpeed` matters for a recording only.
  ///
  /// Throws a ``RadioError`` of the kind ``RadioError/Kind/notSupported`` if there is none.
  public static func make(
    _ url: RadioURL, recordingSpeed: PcapDriver.Speed = .real
  ) throws(RadioError) -> any RadioDriver {
    switch url.target {
    case .pcap(let path): return PcapDriver(url, path: path, speed: recordingSpeed)
    case .linux, .serial, .command, .zep:
      throw RadioError(
        .notSupported, radio: url.description, detail: "there is no driver for this kind of radio",
        remedy: "use pcap:FILE")
    }
  }
}
