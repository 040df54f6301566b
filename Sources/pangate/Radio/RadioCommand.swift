import ArgumentParser
import IEEE802154
import Radio

/// `pangate radio`: what radios there are.
struct RadioCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "radio", abstract: "Find radios and try them.",
    subcommands: [RadioListCommand.self, RadioProbe.self])
}

extension RadioSettings {
  /// Settings for listening only: nothing is acknowledged, and the address is nobody's.
  static func listening(channel: UInt8, page: UInt8) -> RadioSettings {
    // A random address with the bit for those that were not given to a manufacturer.
    let address = UInt64.random(in: 0...(.max)) & ~(1 << 56) | 1 << 57
    var settings = RadioSettings(
      channel: channel, panID: .broadcast, extendedAddress: ExtendedAddress(address))
    settings.page = page
    settings.isPromiscuous = true
    return settings
  }
}
