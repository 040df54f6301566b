import Foundation
import IEEE802154
import Radio
import Testing
import Wire

/// What `sniff` is tested with: recordings as radios.
enum Sniffing {
  static let home = "pcap:Captures/home.pcap"
  static let homeFrames = 279

  static func temporary() -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("pangate-\(UUID().uuidString).pcapng").path
  }

  /// Runs to the end of the recording without waiting.
  static func run(_ arguments: [String]) throws -> Executable.Result {
    try Executable.run(["sniff"] + arguments + ["--speed", "max"])
  }

  static func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  /// The lines of JSON without what differs between a recording and a radio.
  static func objects(_ text: String) throws -> [NSDictionary] {
    try lines(text).map { line in
      var object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      for key in ["file", "time", "length", "number", "elapsed"] { object[key] = nil }
      return NSDictionary(dictionary: object)
    }
  }

  /// The packets of pcapng, all of whose blocks must be whole.
  static func packets(_ bytes: [UInt8]) throws -> [PcapngPacket] {
    var reader = ByteReader(bytes.rawSpan)
    var packets: [PcapngPacket] = []
    while !reader.isAtEnd {
      if case .packet(let packet) = try PcapngBlock(parsing: &reader) { packets.append(packet) }
    }
    return packets
  }
}

@Suite("pangate sniff")
struct SniffTests {
  private func contents(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

  @Test("The table is that of decode, and the summary is on standard error")
  func table() throws {
    let decoded = try Executable.run(["decode", "Captures/home.pcap"])
    let sniffed = try Sniffing.run([Sniffing.home])
    #expect(sniffed.status == 0)
    #expect(sniffed.stdout == decoded.stdout)
    let notes = Sniffing.lines(sniffed.stderr)
    #expect(notes.first == "\(Sniffing.home): a recording of link type 230, listening")
    #expect(notes.dropFirst().first?.hasPrefix("\(Sniffing.home): 279 frames, ") == true)
    #expect(sniffed.stderr.contains("1  udpChecksumMismatch"))
  }

  @Test(
    "The JSON is that of decode, with contexts and keys, and so is that of what was recorded",
    arguments: [
      ("Captures/home.pcap", []), ("Captures/riot-6lbr_ctx0.pcap", ["--context", "1=fd00:1::/64"]),
      ("Captures/thread-sleepy-child.tap.pcap", ["--key", "1:00112233445566778899aabbccddeeff"]),
      ("Captures/zep-linklocal_udp_coap.pcap", []),
    ])
  func json(capture: String, options: [String]) throws {
    let decoded = try Sniffing.objects(Executable.run(["decode", capture, "--json"] + options).stdout)
    // Records that are no frames, as on an Ethernet, do not come from a radio.
    let frames = decoded.filter { ($0["drop"] as? [String: Any])?["reason"] as? String != "captureNotIEEE802154" }
    let path = Sniffing.temporary()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let sniffed = try Sniffing.run(["pcap:\(capture)", "--json", "-o", path] + options)
    #expect(sniffed.status == 0)
    var objects = try Sniffing.objects(sniffed.stdout)
    #expect(objects.count == frames.count)
    #expect(zip(objects, frames).first { $0 != $1 } == nil)
    objects = try Sniffing.objects(Executable.run(["decode", path, "--json"] + options).stdout)
    #expect(objects.count == frames.count)
    #expect(zip(objects, frames).first { $0 != $1 } == nil)
    #expect(sniffed.stderr.contains("\(path): \(frames.count) frames written"))
  }

  @Test("-o writes each frame, inbound, with the distances in time of the recording, and prints nothing")
  func record() throws {
    let path = Sniffing.temporary()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let result = try Sniffing.run([Sniffing.home, "-o", path])
    #expect(result.status == 0)
    #expect(result.stdout.isEmpty)
    let packets = try Sniffing.packets(contents(path))
    #expect(packets.allSatisfy { $0.direction == .inbound })
    let offsets = packets.map { Int64($0.timestamp - (packets.first?.timestamp ?? 0)) }
    var reader = try CaptureReader(path: Executable.root.appendingPathComponent("Captures/home.pcap").path)
    var recorded: [Int64] = []
    while let frame = try reader.nextFrame() { recorded.append(frame.metadata.timestamp.microseconds) }
    #expect(recorded.count == Sniffing.homeFrames)
    #expect(offsets == recorded.map { $0 - (recorded.first ?? 0) })
  }

  @Test("--count and --duration end it")
  func limits() throws {
    let some = try Sniffing.run([Sniffing.home, "--count", "3"])
    #expect(some.status == 0)
    #expect(Sniffing.lines(some.stdout).count == 4)
    // The recording takes half a minute.
    let short = try Executable.run(["sniff", Sniffing.home, "--duration", "0.1", "--json"])
    #expect(short.status == 0)
    #expect(Sniffing.lines(short.stdout).count < Sniffing.homeFrames)
    #expect(Sniffing.lines(short.stdout).count >= 1)
  }

  @Test("A signal ends it with a whole file and a summary", arguments: [SIGINT, SIGTERM])
  func signals(number: Int32) throws {
    let process = Process()
    process.executableURL = Executable.products.appendingPathComponent("pangate")
    process.arguments = ["sniff", Sniffing.home, "-o", "-"]
    process.currentDirectoryURL = Executable.root
    let (output, notes) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = notes
    try process.run()
    // A frame comes as soon as it was received, not when a buffer is full.
    var bytes: [UInt8] = []
    while (try? Sniffing.packets(bytes))?.isEmpty ?? true {
      let data = output.fileHandleForReading.availableData
      if data.isEmpty { break }
      bytes += data
    }
    kill(process.processIdentifier, number)
    bytes += try output.fileHandleForReading.readToEnd() ?? Data()
    let text = String(decoding: try notes.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 0)
    let count = try Sniffing.packets(bytes).count
    #expect((1..<Sniffing.homeFrames).contains(count))
    #expect(text.contains("standard output: \(count) frames written"))
  }

  @Test("A radio that fails ends it with exit code 1, and what was heard before is kept")
  func failed() throws {
    let path = Sniffing.temporary()
    let cut = Sniffing.temporary()
    defer { for file in [path, cut] { try? FileManager.default.removeItem(atPath: file) } }
    let whole = try contents(Executable.root.appendingPathComponent("Captures/riot-linklocal_udp_coap.pcap").path)
    try Data(whole.dropLast(3)).write(to: URL(fileURLWithPath: cut))
    let result = try Sniffing.run(["pcap:\(cut)", "-o", path])
    #expect(result.status == 1)
    #expect(result.stderr.contains("record 64 is damaged"))
    #expect(try Sniffing.packets(contents(path)).count == 63)
  }

  @Test("What cannot start is exit code 3 and one line that says why")
  func cannotStart() throws {
    let missing = try Sniffing.run(["pcap:nowhere.pcap"])
    #expect(missing.status == 3)
    #expect(
      missing.stderr == "pangate: pcap:nowhere.pcap: No such file or directory; give a pcap or pcapng file\n")
    let output = try Sniffing.run([Sniffing.home, "-o", "/nowhere/at/all"])
    #expect(output.status == 3)
    #expect(
      Sniffing.lines(output.stderr).last
        == "pangate: /nowhere/at/all: cannot write the capture: No such file or directory")
  }

  @Test("A full disk is an error", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func fullDisk() throws {
    let result = try Sniffing.run([Sniffing.home, "-o", "/dev/full"])
    #expect(result.status == 3)
    #expect(result.stderr.contains("/dev/full: cannot write the capture: "))
  }

  @Test(
    "Wrong usage is exit code 2 and says what is expected",
    arguments: [
      (["wifi:wlan0"], "linux:wpan0"), (["zep://127.0.0.1:0"], "--channel 15"),
      (["zep://127.0.0.1:0", "--channel", "26", "--speed", "max"], "recordings"),
      ([Sniffing.home, "--speed", "-1"], "--speed"), ([Sniffing.home, "--count", "0"], "1 or more"),
      ([Sniffing.home, "--duration", "0"], "above 0"), ([Sniffing.home, "--duration", "nan"], "above 0"),
      ([Sniffing.home, "--json", "-o", "-"], "standard output"), ([Sniffing.home, "--key", "1:00"], "32 hexadecimal"),
      ([Sniffing.home, "-o", "./Captures/../Captures/home.pcap"], "would overwrite"), ([], "<url>"),
    ])
  func usage(arguments: [String], message: String) throws {
    let result = try Executable.run(["sniff"] + arguments)
    #expect(result.status == 2)
    #expect(result.stderr.contains(message))
    #expect(result.stdout.isEmpty)
  }

  @Test("--help has examples and exit codes")
  func help() throws {
    let help = try Executable.run(["sniff", "--help"])
    #expect(help.status == 0)
    for part in ["EXAMPLES", "EXIT CODES", "--channel", "--context", "--key", "wireshark -k -i -"] {
      #expect(help.stdout.contains(part))
    }
    #expect(!help.stdout.contains("--speed"))
  }
}

@Suite(
  "Wireshark reads what sniff records",
  .enabled(if: Tshark.program != nil, "tshark is not installed; tools/setup test installs it"))
struct SniffTsharkTests {
  private static let fields = [
    "frame.number", "frame.time_relative", "wpan.frame_type", "wpan.seq_no", "wpan.dst_pan", "wpan.src16",
    "wpan.src64", "wpan.dst16", "wpan.dst64", "wpan.fcs_ok", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.payload",
    "icmpv6.type", "coap.code", "coap.mid", "_ws.expert.message",
  ]

  /// A line for each frame with the fields that were asked for.
  private func dissect(_ path: String, _ fields: [String], options: [String] = []) throws -> [String] {
    let program = try #require(Tshark.program)
    let result = try Executable.run(
      program, ["-r", path, "-n", "-T", "fields"] + fields.flatMap { ["-e", $0] } + options)
    let warnings = Sniffing.lines(result.stderr).filter { !$0.hasPrefix("Running as user") }
    #expect(warnings.isEmpty)
    #expect(result.status == 0)
    return result.stdout.components(separatedBy: "\n").dropLast()
  }

  @Test(
    "The same frames with the same fields and no other remark than on the original",
    arguments: ["home", "riot-6lbr_ctx0", "thread-sleepy-child.tap"])
  func sameFields(name: String) throws {
    let capture = "Captures/\(name).pcap"
    let path = Sniffing.temporary()
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(try Sniffing.run(["pcap:\(capture)", "-o", path]).status == 0)
    let wanted = try dissect(capture, Self.fields)
    let got = try dissect(path, Self.fields)
    #expect(got.count == wanted.count && !wanted.isEmpty)
    let difference = zip(got, wanted).first { $0 != $1 }
    #expect(difference == nil)
  }

  @Test("Direction, signal strength, channel and link quality of frames of a radio are shown")
  func metadata() throws {
    let path = Sniffing.temporary()
    defer { try? FileManager.default.removeItem(atPath: path) }
    do {
      var writer = try PcapngWriter(path: path, radio: "linux:wpan0", resolution: .nanoseconds)
      let time = Instant(microseconds: 1_795_541_557_652_092)
      let bytes: [UInt8] = [0x02, 0x00, 0x07]
      try writer.write(
        CapturedFrame(
          bytes: bytes + [0x07, 0xc1],
          metadata: FrameMetadata(timestamp: time, fcsPresent: true, rssi: -73, lqi: 200, channel: 26)))
      try writer.write(
        CapturedFrame(bytes: bytes, metadata: FrameMetadata(timestamp: time, fcsPresent: false)), .outbound,
        channel: TAPHeader.Channel(number: 5, page: 2))
    }
    let fields = [
      "frame.time_epoch", "frame.interface_name", "frame.packet_flags_direction", "wpan-tap.fcs_type", "wpan-tap.rss",
      "wpan-tap.ch_num", "wpan-tap.ch_page", "wpan-tap.lqi", "wpan.seq_no", "_ws.expert.message",
    ]
    // Versions of Wireshark print the flags with more or fewer zeros.
    let cells = try dissect(path, fields).map { line in
      line.components(separatedBy: "\t").map { cell in
        cell.hasPrefix("0x") ? Int(cell.dropFirst(2), radix: 16).map(String.init) ?? cell : cell
      }
    }
    #expect(
      cells == [
        ["1795541557.652092000", "linux:wpan0", "1", "1", "-73", "26", "0", "200", "7", ""],
        ["1795541557.652092000", "linux:wpan0", "2", "0", "", "5", "2", "", "7", ""],
      ])
  }
}
