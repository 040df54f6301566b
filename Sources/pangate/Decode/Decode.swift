import ArgumentParser
import Foundation

/// `pangate decode`: what is in a capture.
struct Decode: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the frames of captures: 802.15.4, 6LoWPAN, IPv6, UDP, ICMPv6, CoAP.",
    discussion: """
      Reads pcap and pcapng with link types 195, 215, 230 and 283, and ZEP (UDP
      port 17754) in Ethernet or raw IP.
      Each file has its own fragments, contexts and counters. A summary of frames,
      packets and drops goes to standard error.

      FORMATS
        table     one line for each frame; dropped ones with the reason
        json      one object for each frame, with all fields
        ipv6-hex  each whole IPv6 packet in hexadecimal, in order of completion
        pcap      the IPv6 packets as raw IP (link type 101)

      EXAMPLES
        pangate decode Captures/home.pcap
        pangate decode c.pcapng --context 1=fd00:1::/64 --json | jq .coap
        pangate decode c.pcap --key 1:000102030405060708090a0b0c0d0e0f \
          --eui 0x0b01=02:12:4b:00:00:00:00:03
        pangate decode c.pcap --format pcap -o packets.pcap

      \(Exit.help)
      """)

  @Argument(help: ArgumentHelp("Captures; - is standard input.", valueName: "file"))
  var files: [String]

  @Option(
    name: .customLong("context"),
    help: ArgumentHelp(
      "A 6LoWPAN context, for example 1=fd00:1::/64. May be repeated.", valueName: "n=prefix/len"))
  var contextTexts: [String] = []

  @Option(
    name: .customLong("key"),
    help: ArgumentHelp("An 802.15.4 key by its index. May be repeated.", valueName: "index:hex"))
  var keyTexts: [String] = []

  @Option(
    name: .customLong("eui"),
    help: ArgumentHelp(
      "Whose short address it is, for secured frames. May be repeated.", valueName: "short=eui64"))
  var extendedAddressTexts: [String] = []

  @Option(help: ArgumentHelp("table, json, ipv6-hex or pcap. (default: table)"))
  var format: DecodeFormat?

  @Flag(help: "The same as --format json.")
  var json = false

  @Option(
    name: [.short, .long], help: ArgumentHelp("Where to write; otherwise standard output.", valueName: "path")
  )
  var output: String?

  private var chosenFormat: DecodeFormat { format ?? (json ? .json : .table) }

  func validate() throws {
    let contexts = try contextTexts.map { try ContextOption($0).identifier }
    if let twice = Self.firstRepeated(contexts) { throw ValidationError("--context \(twice) is given twice") }
    let keys = try keyTexts.map { try KeyOption($0).index }
    if let twice = Self.firstRepeated(keys) { throw ValidationError("--key \(twice) is given twice") }
    let shorts = try extendedAddressTexts.map { try ExtendedAddressOption($0).short }
    if let twice = Self.firstRepeated(shorts) { throw ValidationError("--eui \(twice) is given twice") }
    if json, let format, format != .json {
      throw ValidationError("--json and --format \(format.rawValue) contradict each other")
    }
    if chosenFormat == .pcap, output == nil, isatty(STDOUT_FILENO) == 1 {
      throw ValidationError(
        "--format pcap writes binary data: give -o FILE, or send standard output elsewhere")
    }
    if files.count(where: { $0 == "-" }) > 1 { throw ValidationError("'-' is given twice") }
  }

  private static func firstRepeated<T: Hashable>(_ values: [T]) -> T? {
    var seen: Set<T> = []
    return values.first { !seen.insert($0).inserted }
  }

  func run() throws {
    var run = try DecodeRun(
      format: chosenFormat, output: output, severalFiles: files.count > 1,
      settings: DescriberSettings(
        contexts: try contextTexts.map(ContextOption.init), keys: try keyTexts.map(KeyOption.init),
        extendedAddresses: try extendedAddressTexts.map(ExtendedAddressOption.init)))
    for file in files { try run.decode(file) }
    if let code = run.exitCode { throw ExitCode(code) }
  }
}
