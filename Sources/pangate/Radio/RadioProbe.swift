import ArgumentParser
import IEEE802154
import Radio

/// `pangate radio probe`.
struct RadioProbe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe",
    abstract: "Open a radio and show what it is.",
    discussion: """
      The radio is set to listen on a channel with an address that is nobody's, and
      let go at once. A radio that another program uses is not disturbed: it is
      reported as in use.

      EXAMPLES
        pangate radio probe linux:wpan0
        pangate radio probe 'spinel:/dev/ttyACM0?baud=460800' --json

      \(Exit.help)
      """)

  @Argument(help: ArgumentHelp("The radio: \(RadioProbe.forms)", valueName: "url"))
  var url: String

  @Option(help: ArgumentHelp("The channel to set.", valueName: "number"))
  var channel: UInt8 = 11

  @Option(help: ArgumentHelp("The channel page to set.", valueName: "number"))
  var page: UInt8 = 0

  @Flag(help: "Print one line of JSON.")
  var json = false

  static let forms =
    "linux:INTERFACE, spinel:DEVICE?baud=N, spinel+exec:COMMAND, zep://ADDRESS:PORT or pcap:FILE."

  func validate() throws { _ = try radioURL(url) }

  func run() async throws {
    let url = try radioURL(url)
    let facts: RadioFacts
    do throws(RadioError) {
      let driver = RadioDrivers.make(url)
      let description = try await driver.open(.listening(channel: channel, page: page))
      await driver.close()
      facts = RadioFacts(url, description)
    } catch { throw Failure.cannotStart(error.description) }
    print(json ? JSONOutput.line(facts) : facts.text)
  }
}

/// A radio's URL; what is wrong with it is wrong usage.
func radioURL(_ text: String) throws -> RadioURL {
  do throws(RadioError) { return try RadioURL(text) } catch { throw ValidationError(error.description) }
}

/// What `probe` prints. Its properties are the keys of the JSON.
struct RadioFacts: Encodable {
  var url: String
  var name: String
  var capabilities: [String]
  var hardwareAddress: String?

  init(_ url: RadioURL, _ description: RadioDescription) {
    self.url = url.description
    name = description.name
    capabilities = description.capabilities.names
    hardwareAddress = description.hardwareAddress?.description
  }

  var text: String {
    """
    radio             \(Printable.line(url))
    name              \(Printable.line(name))
    capabilities      \(capabilities.isEmpty ? "none" : capabilities.joined(separator: ", "))
    hardware address  \(hardwareAddress ?? "not told")
    """
  }
}
