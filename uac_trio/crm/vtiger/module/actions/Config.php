<?php
/** What the module's page does: save the address, or remove the module. For administrators, by POST with CSRF token. */
require_once 'modules/UacCompanion/UacCompanion.php';

class UacCompanion_Config_Action extends Vtiger_Action_Controller {
    const PAGE = 'index.php?module=UacCompanion&view=Setup';

    public function __construct() {
        parent::__construct();
        $this->exposeMethod('save');
        $this->exposeMethod('remove');
    }

    public function validateRequest(Vtiger_Request $request) {
        return $request->validateWriteAccess();
    }

    public function checkPermission(Vtiger_Request $request) {
        if (!Users_Record_Model::getCurrentUserModel()->isAdminUser()) {
            throw new AppException('not permitted');
        }
        return true;
    }

    public function process(Vtiger_Request $request) {
        $this->invokeExposedMethod($request->getMode(), $request);
    }

    public function save(Vtiger_Request $request) {
        $address = rtrim(trim((string) $request->getRaw('url')), '/');
        $isRight = self::isAddress($address);
        if ($isRight) {
            UacCompanion::saveSetting('url', $address);
        }
        header('Location: ' . self::PAGE . '&done=' . ($isRight ? 'saved' : 'wrong'));
    }

    /** '' = that of the gateway; a path of the CRM's own web server; or another server. */
    public static function isAddress($address) {
        return strlen($address) <= 200
            && preg_match('#^(|/(?!/)[A-Za-z0-9._~/-]*|https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?)$#D', $address) === 1;
    }

    /** For what the CRM has no button: the rows of the module, its link and table, and its files. */
    public function remove(Vtiger_Request $request) {
        $module = Vtiger_Module::getInstance(UacCompanion::NAME);
        if ($module) {
            $module->delete();
        }
        self::removeFolder(UacCompanion::FOLDER);
        header('Location: index.php?module=ModuleManager&parent=Settings&view=List');
    }

    private static function removeFolder($path) {
        foreach (array_diff(scandir($path), array('.', '..')) as $name) {
            is_dir("$path/$name") && !is_link("$path/$name") ? self::removeFolder("$path/$name") : unlink("$path/$name");
        }
        rmdir($path);
    }
}
