import { maintenance } from "@etcd-ts/api";
import { type AlarmMember, type AlarmResponse, AlarmType, createResponseHeader } from "@etcd-ts/api/etcdserverpb";
import type { Answer } from "@etcd-ts/client";
import type { Command } from "../command.js";
import { badArguments } from "../exit.js";
import { quote } from "../go-text.js";
import type { Printer } from "../printer.js";
import { alarmNames } from "./endpoint.js";

export const alarmCommand: Command = {
  name: "alarm",
  short: "Alarm related commands",
  group: "Cluster maintenance commands",
  commands: [
    {
      name: "disarm",
      short: "Disarms all alarms",
      run: async ({ args, client, printer, timed }) => {
        if (args.length > 0) throw badArguments("alarm disarm command accepts no arguments");
        const { maintenance: service } = client();
        const disarmed: AlarmMember[] = [];
        for (const { memberId, alarm } of (await service.alarmList(timed)).alarms) {
          const name = alarm === AlarmType.CORRUPT ? "CORRUPT" : alarm === AlarmType.NOSPACE ? "NOSPACE" : "NONE";
          const answer = await service.alarmDisarm(memberId, name, timed);
          disarmed.push(...answer.alarms);
        }
        // Go's client makes one answer of them, without a header.
        print({ header: undefined, alarms: disarmed }, printer);
      },
    },
    {
      name: "list",
      short: "Lists all alarms",
      run: async ({ args, client, printer, timed }) => {
        if (args.length > 0) throw badArguments("alarm list command accepts no arguments");
        print(await client().maintenance.alarmList(timed), printer);
      },
    },
  ],
};

function print(answer: AlarmResponse | Answer<AlarmResponse>, printer: Printer): void {
  const { header = createResponseHeader(), alarms } = answer;
  const name = ({ alarm }: AlarmMember): string => alarmNames[alarm] ?? String(alarm);
  printer.message(maintenance.alarm.response, answer, {
    simple: () => alarms.map((member) => `memberID:${member.memberId} alarm:${name(member)} \n`).join(""),
    fields: () =>
      printer.header(header) +
      alarms
        .map((member) => `"MemberID" : ${printer.id(member.memberId)}\n"AlarmType" : ${quote(name(member))}\n\n`)
        .join(""),
  });
}
