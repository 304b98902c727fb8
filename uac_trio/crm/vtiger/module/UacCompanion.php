<?php
/**
 * The module's life: the CRM calls vtlib_handler() when it is installed, updated, switched on or off, or removed.
 *
 * The script is linked with tabid 0, "every module": a link of the module's own tabid reaches administrators alone, since
 * an import does not write the privilege files of other users anew. Such a link is not removed with the module, so it is
 * removed here.
 */
require_once 'vtlib/Vtiger/Link.php';

class UacCompanion {
    const NAME = 'UacCompanion';
    const TABLE = 'vtiger_uaccompanion';
    const FOLDER = 'modules/UacCompanion';

    public function vtlib_handler($moduleName, $event) {
        switch ($event) {
            case 'module.postinstall':
            case 'module.postupdate':
            case 'module.enabled':
                self::unlinkScript();
                self::removeOldScripts();
                self::linkScript();
                break;
            case 'module.disabled':
                self::unlinkScript();
                break;
            case 'module.preuninstall':
                self::unlinkScript();
                PearDatabase::getInstance()->pquery('DROP TABLE IF EXISTS ' . self::TABLE, array());
                break;
        }
    }

    /**
     * Read from the disk, not from a constant: for a while after an update PHP's opcache runs the class of before.
     */
    public static function version() {
        return trim((string) file_get_contents(self::FOLDER . '/resources/version.txt'));
    }

    /** The address of a script. The version is in its name, since the CRM has browsers keep files by their names. */
    public static function script($name) {
        return self::FOLDER . '/resources/' . $name . self::scriptEnding();
    }

    /** Asked for each page: who can get no popup and place no call gets no script. */
    public static function isWanted($linkData) {
        $user = $linkData->getUser();
        return is_object($user) && !empty($user->phone_crm_extension)
            && (Users_Privileges_Model::isPermitted('PBXManager', 'ReceiveIncomingCalls')
                || Users_Privileges_Model::isPermitted('PBXManager', 'MakeOutgoingCalls'));
    }

    /** Why nothing is done for who asks; '' = the module is on and they are logged in. */
    public static function off() {
        if (!Users_Record_Model::getCurrentUserModel()->getId()) {
            return 'logged-out';
        }
        $module = Vtiger_Module_Model::getInstance(self::NAME);
        return $module && $module->isActive() ? '' : 'switched-off';
    }

    /** Where browsers reach the connector: as set on the module's page, else the address of the gateway's settings. */
    public static function address() {
        $address = self::setting('url');
        if ($address === '') {
            $address = (string) PBXManager_Server_Model::getInstance()->get('webappurl');
        }
        return rtrim($address, '/');
    }

    public static function setting($name) {
        $db = PearDatabase::getInstance();
        $found = $db->pquery('SELECT value FROM ' . self::TABLE . ' WHERE name = ?', array($name));
        return $found && $db->num_rows($found) ? (string) decode_html($db->query_result($found, 0, 'value')) : '';
    }

    public static function saveSetting($name, $value) {
        $db = PearDatabase::getInstance();
        $db->pquery('DELETE FROM ' . self::TABLE . ' WHERE name = ?', array($name));
        $db->pquery('INSERT INTO ' . self::TABLE . ' (name, value) VALUES (?, ?)', array($name, $value));
    }

    private static function scriptEnding() {
        return '-' . str_replace('.', '_', self::version()) . '.js';
    }

    private static function linkScript() {
        Vtiger_Link::addLink(0, 'HEADERSCRIPT', self::NAME, self::script('companion'), '', 99, array(
            'path' => self::FOLDER . '/UacCompanion.php', 'class' => self::NAME, 'method' => 'isWanted'));
    }

    /** Whatever its address: links of earlier versions too. */
    private static function unlinkScript() {
        Vtiger_Link::deleteLink(0, 'HEADERSCRIPT', self::NAME);
    }

    /** An update leaves the files of earlier versions. */
    private static function removeOldScripts() {
        foreach (glob(self::FOLDER . '/resources/*.js') as $path) {
            if (substr($path, -strlen(self::scriptEnding())) !== self::scriptEnding()) {
                @unlink($path);
            }
        }
    }
}
