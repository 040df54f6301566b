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

  @OptionGroup var decoding: DecodingOptions

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
    if json, let format, format != .json {
      throw ValidationError("--json and --format \(format.rawValue) contradict each other")
    }
    if chosenFormat == .pcap, output == nil, isatty(STDOUT_FILENO) == 1 {
      throw ValidationError(
        "--format pcap writes binary data: give -o FILE, or send standard output elsewhere")
    }
    if files.count(where: { $0 == "-" }) > 1 { throw ValidationError("'-' is given twice") }
  }

  func run() throws {
    var run = try DecodeRun(
      format: chosenFormat, output: output, severalFiles: files.count > 1,
      settings: try decoding.settings)
    for file in files { try run.decode(file) }
    if let code = run.exitCode { throw ExitCode(code) }
  }
}
